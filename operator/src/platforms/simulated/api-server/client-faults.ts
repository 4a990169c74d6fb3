/** What can go wrong between one operator and the API server. Chaos sets the fields; the client obeys them call by call. */

/** Settings of one client's connection. */
export interface ConnectionFaults {
  /** One way, ms. */
  latencyMs: readonly [number, number];
  /** Probability that a call fails, 0..1. Of those that fail, how: see {@link FAILURES}. */
  failureRate: number;
  /** Probability that a write with a precondition, or an apply, meets a conflict that is not there the next time. */
  conflictRate: number;
  /** No call goes through; they time out or break off. */
  isPartitioned: boolean;
  /** Watch events of a kind come this much later, ms. */
  readonly watchLagMs: Map<string, number>;
}

/** How a call fails. `After`: the write took effect, and the caller does not learn it. */
export type Failure = "busy" | "error" | "errorAfter" | "broken" | "brokenAfter" | "timeout" | "timeoutAfter";

/** All kinds of failures, as often as they come. */
export const FAILURES: readonly Failure[] = [
  ...(["busy", "error", "errorAfter", "broken", "brokenAfter", "brokenAfter", "timeout", "timeoutAfter"] as const),
];

/** A connection without faults. */
export function healthyConnection(): ConnectionFaults {
  return { latencyMs: [1, 8], failureRate: 0, conflictRate: 0, isPartitioned: false, watchLagMs: new Map() };
}

/** Whether the server gets to see the request. */
export function takesEffect(failure: Failure): boolean {
  return failure.endsWith("After");
}
