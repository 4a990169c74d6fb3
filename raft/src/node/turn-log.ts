/** Appends of turns: several may be in flight; responses leave when the records they depend on are durable. */
import type { LogRecord, RaftLog } from "../log/api.js";

interface Flight<T> {
  readonly awaited: T[];
}

/** Writes each turn's records with one append and delivers what waited for it. */
export class TurnLog<T> {
  readonly #log: RaftLog;
  readonly #deliver: (awaited: readonly T[]) => void;
  readonly #onFailed: (error: unknown) => void;
  #newest: Flight<T> | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(log: RaftLog, deliver: (awaited: readonly T[]) => void, onFailed: (error: unknown) => void) {
    this.#log = log;
    this.#deliver = deliver;
    this.#onFailed = onFailed;
  }

  /** Writes `records` and delivers `awaited` once these, and all before them, are durable. */
  append(records: readonly LogRecord[], awaited: T[]): void {
    if (records.length === 0) {
      if (awaited.length === 0) return;
      // Nothing to write, but earlier writes must be durable: the newest in flight is the last of them to be.
      if (this.#newest === undefined) this.#deliver(awaited);
      else for (const item of awaited) this.#newest.awaited.push(item);
      return;
    }
    const flight: Flight<T> = { awaited };
    this.#newest = flight;
    this.#last = this.#log.append(records).then(() => {
      if (this.#newest === flight) this.#newest = undefined;
      this.#deliver(flight.awaited);
    }, this.#onFailed);
  }

  /** Resolves when nothing is in flight any more. */
  settle(): Promise<void> {
    return this.#last;
  }
}
