import { type Clock, InvariantError } from "@rhea/common";

/**
 * What became of an operation.
 * - `open`: no answer came (a timeout, a broken connection, or the run ended): it may have taken effect, may yet, or never will;
 * - `ok`: it took effect and answered `result`;
 * - `failed`: it certainly did not and will not take effect.
 */
export type Outcome<Result> =
  { readonly kind: "open" } | { readonly kind: "ok"; readonly result: Result } | { readonly kind: "failed" };

/** One call of one client. */
export interface Operation<Op, Result> {
  /** Counts from 0 in order of invocation. */
  readonly id: number;
  readonly clientId: string;
  readonly op: Op;
  readonly outcome: Outcome<Result>;
  /**
   * Positions in the history's one line of events. Real-time order is judged by these alone: they are exact where a clock would have ties.
   * Invariant: invokedAt < returnedAt; returnedAt is Infinity unless the outcome is `ok`.
   */
  readonly invokedAt: number;
  readonly returnedAt: number;
  /** Monotonic milliseconds, for people. */
  readonly invokedMs: number;
  readonly returnedMs: number;
}

/** A recorder of operations. Make the calls around the real ones: invoke before the request leaves, complete after the answer came. */
export interface History<Op, Result> {
  /** Notes that `clientId` is about to run `op`. Returns the operation's id. One client may have several operations under way. */
  invoke(clientId: string, op: Op): number;
  /** Notes the answer of an operation. Throws InvariantError when it was settled already or is unknown. */
  complete(id: number, result: Result): void;
  /** Notes that an operation certainly had no effect. Never call it for a timeout: leave such an operation open. */
  fail(id: number): void;
  /** Returns all operations in order of invocation, as they stand now. */
  operations(): readonly Operation<Op, Result>[];
}

/**
 * Creates an empty history.
 *
 * @param clock its times are for the reader of a witness only; the order is that of the calls
 */
export function createHistory<Op, Result>(clock: Clock): History<Op, Result> {
  const operations: Operation<Op, Result>[] = [];
  let events = 0;

  const openOperation = (id: number): Operation<Op, Result> => {
    const operation = operations[id];
    if (operation === undefined) throw new InvariantError(`history: there is no operation ${id}`);
    if (operation.outcome.kind !== "open") {
      throw new InvariantError(`history: operation ${id} has ended as ${operation.outcome.kind} already`);
    }
    return operation;
  };

  return {
    invoke(clientId, op) {
      const id = operations.length;
      operations.push({
        id,
        clientId,
        op,
        outcome: { kind: "open" },
        invokedAt: events++,
        returnedAt: Infinity,
        invokedMs: clock.monotonicMs(),
        returnedMs: Infinity,
      });
      return id;
    },
    complete(id, result) {
      const operation = openOperation(id);
      const returned = { returnedAt: events++, returnedMs: clock.monotonicMs() };
      operations[id] = { ...operation, outcome: { kind: "ok", result }, ...returned };
    },
    fail(id) {
      operations[id] = { ...openOperation(id), outcome: { kind: "failed" } };
    },
    operations: () => operations,
  };
}
