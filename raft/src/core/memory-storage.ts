import { RheaError } from "@rhea/common";
import { countWithin } from "./entry-size.js";
import { SnapshotTemporarilyUnavailableError, StorageCompactedError, StorageUnavailableError } from "./errors.js";
import { EMPTY_CONF_STATE } from "./tracker.js";
import { NO_LIMIT, type ConfState, type Entry, type HardState, type Snapshot, type Storage } from "./types.js";

/**
 * Stores a group's log in memory: for tests, and as the reference of what `Storage` means. Entries from `firstIndex` on are kept;
 * the position before the first is remembered with its term.
 */
export class MemoryStorage implements Storage {
  #hardState: HardState = { term: 0, vote: 0, commit: 0 };
  #snapshot: Snapshot = { metadata: { confState: EMPTY_CONF_STATE, index: 0, term: 0 }, data: new Uint8Array() };
  #offset = 0;
  #offsetTerm = 0;
  #entries: Entry[] = [];

  initialState(): { readonly hardState: HardState; readonly confState: ConfState } {
    return { hardState: this.#hardState, confState: this.#snapshot.metadata.confState };
  }

  firstIndex(): number {
    return this.#offset + 1;
  }

  lastIndex(): number {
    return this.#offset + this.#entries.length;
  }

  term(index: number): number {
    if (index === this.#offset) return this.#offsetTerm;
    if (index < this.#offset) throw new StorageCompactedError(index, this.firstIndex());
    const entry = this.#entries[index - this.#offset - 1];
    if (entry === undefined) throw new StorageUnavailableError(index, this.lastIndex());
    return entry.term;
  }

  entries(lo: number, hi: number, maxBytes: number): readonly Entry[] {
    if (lo <= this.#offset) throw new StorageCompactedError(lo, this.firstIndex());
    if (hi > this.lastIndex() + 1) throw new StorageUnavailableError(hi - 1, this.lastIndex());
    const from = lo - this.#offset - 1;
    const to = hi - this.#offset - 1;
    return this.#entries.slice(
      from,
      maxBytes === NO_LIMIT ? to : from + countWithin(this.#entries, from, to, maxBytes),
    );
  }

  /** Returns the last snapshot installed or made. */
  snapshot(): Snapshot {
    if (this.#snapshot.metadata.index === 0) throw new SnapshotTemporarilyUnavailableError();
    return this.#snapshot;
  }

  /** Replaces the hard state. */
  setHardState(hardState: HardState): void {
    this.#hardState = hardState;
  }

  /**
   * Replaces everything by a snapshot.
   * @throws RheaError OPERATION_REFUSED when the one it has is as new.
   */
  applySnapshot(snapshot: Snapshot): void {
    const { index, term } = snapshot.metadata;
    if (this.#snapshot.metadata.index >= index)
      throw new RheaError("OPERATION_REFUSED", "requested index is older than the existing snapshot");
    this.#snapshot = snapshot;
    this.#offset = index;
    this.#offsetTerm = term;
    this.#entries = [];
  }

  /** Makes a snapshot at `index`, which must be in the log; the log stays as it is. */
  createSnapshot(index: number, confState: ConfState, data: Uint8Array): Snapshot {
    this.#snapshot = { metadata: { index, term: this.term(index), confState }, data };
    return this.#snapshot;
  }

  /** Drops the entries up to and including `index`. */
  compact(index: number): void {
    if (index <= this.#offset) throw new StorageCompactedError(index, this.firstIndex());
    const term = this.term(index);
    this.#entries = this.#entries.slice(index - this.#offset);
    this.#offset = index;
    this.#offsetTerm = term;
  }

  /** Stores entries, replacing what lies at or after the first of them; those already compacted are ignored. */
  append(entries: readonly Entry[]): void {
    const fresh = entries.filter((entry) => entry.index > this.#offset);
    const first = fresh[0];
    if (first === undefined) return;
    if (first.index > this.lastIndex() + 1) throw new StorageUnavailableError(first.index - 1, this.lastIndex());
    this.#entries.length = first.index - this.#offset - 1;
    for (const entry of fresh) this.#entries.push(entry);
  }
}
