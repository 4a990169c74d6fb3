/** What the engine counts for metrics. */
import type { ErrorCode } from "@rhea/common";

/** Counters since the start. */
export interface EngineCounters {
  entriesApplied: number;
  commandsApplied: number;
  readsServed: number;
  clientStreams: number;
  /** Answers that were errors, by code. */
  readonly errors: Map<ErrorCode, number>;
}

/** Makes counters at 0. */
export function createCounters(): EngineCounters {
  return { entriesApplied: 0, commandsApplied: 0, readsServed: 0, clientStreams: 0, errors: new Map() };
}

/** Counts an error that a client was answered with. */
export function countError(counters: EngineCounters, code: ErrorCode): void {
  counters.errors.set(code, (counters.errors.get(code) ?? 0) + 1);
}
