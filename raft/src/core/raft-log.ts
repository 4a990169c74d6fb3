import { InvariantError } from "@rhea/common";
import { countWithin, entriesSize } from "./entry-size.js";
import { NO_ENTRIES } from "./message.js";
import { UnstableLog, type EmitEvent } from "./unstable.js";
import type { LogMarks, LogPosition } from "./events.js";
import { NO_LIMIT, type Entry, type Snapshot, type Storage } from "./types.js";

/**
 * Is the log as the algorithm sees it: what storage has, with the unstable tail laid over it.
 * Invariant: applied <= applying <= committed <= lastIndex.
 */
export class RaftLog {
  readonly unstable: UnstableLog;
  /** Is the highest index known to be stored on a quorum. */
  committed: number;
  /** Is the highest index handed out to be applied. */
  applying: number;
  /** Is the highest index the state machine has applied. */
  applied: number;
  readonly maxApplyingBytes: number;
  #applyingBytes = 0;
  /** Holds back further committed entries until some of those handed out are applied. */
  #applyingPaused = false;
  readonly #storage: Storage;
  readonly #emit: EmitEvent;

  /** Opens the log over `storage`; `maxApplyingBytes` bounds what is handed out and not yet applied. */
  constructor(storage: Storage, maxApplyingBytes: number, emit: EmitEvent) {
    this.#storage = storage;
    this.#emit = emit;
    this.maxApplyingBytes = maxApplyingBytes;
    const first = storage.firstIndex();
    this.unstable = new UnstableLog(storage.lastIndex() + 1, emit);
    this.committed = first - 1;
    this.applying = first - 1;
    this.applied = first - 1;
  }

  marks(): LogMarks {
    return {
      committed: this.committed,
      applied: this.applied,
      applying: this.applying,
      unstableOffset: this.unstable.offset,
      unstableOffsetInProgress: this.unstable.offsetInProgress,
      unstableEntries: this.unstable.entries.length,
    };
  }

  firstIndex(): number {
    const snapshot = this.unstable.snapshot;
    return snapshot === undefined ? this.#storage.firstIndex() : snapshot.metadata.index + 1;
  }

  lastIndex(): number {
    const index = this.unstable.lastIndex();
    return index < 0 ? this.#storage.lastIndex() : index;
  }

  lastTerm(): number {
    const index = this.lastIndex();
    const term = this.term(index);
    if (term < 0) throw new InvariantError(`the term of the last index ${index} is unknown`);
    return term;
  }

  last(): LogPosition {
    return { index: this.lastIndex(), term: this.lastTerm() };
  }

  /** Returns the term at `index`, or -1 where it is unknown: outside of [firstIndex - 1, lastIndex]. */
  term(index: number): number {
    const term = this.unstable.term(index);
    if (term >= 0) return term;
    if (index + 1 < this.firstIndex() || index > this.lastIndex()) return -1;
    return this.#storage.term(index);
  }

  matchesTerm(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /** Says whether a log that ends at (index, term) has all that this one has (thesis 3.6.1). */
  isUpToDate(index: number, term: number): boolean {
    const lastTerm = this.lastTerm();
    return term > lastTerm || (term === lastTerm && index >= this.lastIndex());
  }

  /** Appends a leader's entries after (previousIndex, previousTerm) and returns the last index covered, or -1 when the logs do not match there. */
  maybeAppend(previousIndex: number, previousTerm: number, commit: number, entries: readonly Entry[]): number {
    if (!this.matchesTerm(previousIndex, previousTerm)) return -1;
    const last = previousIndex + entries.length;
    const conflict = this.#findConflict(entries);
    if (conflict !== 0) {
      if (conflict <= this.committed) {
        throw new InvariantError(
          `entry ${conflict} conflicts with a committed entry (committed up to ${this.committed})`,
        );
      }
      const skip = conflict - (previousIndex + 1);
      if (skip < 0 || skip > entries.length)
        throw new InvariantError(`conflict at ${conflict} lies outside of the message`);
      this.append(skip === 0 ? entries : entries.slice(skip));
    }
    this.commitTo(Math.min(commit, last));
    return last;
  }

  /** Appends entries, replacing what lies at or after the first of them, and returns the last index. */
  append(entries: readonly Entry[]): number {
    const first = entries[0];
    if (first === undefined) return this.lastIndex();
    if (first.index - 1 < this.committed) {
      throw new InvariantError(
        `append after ${first.index - 1} would replace committed entries (up to ${this.committed})`,
      );
    }
    this.unstable.truncateAndAppend(entries);
    return this.lastIndex();
  }

  /**
   * Finds the highest position at or before `index` whose term is no higher than `term`, or is unknown (then term is 0): the best
   * guess where another log, known to have `term` at `index`, matches this one.
   */
  findConflictByTerm(index: number, term: number): LogPosition {
    for (let at = index; at > 0; at--) {
      const ours = this.term(at);
      if (ours < 0) return { index: at, term: 0 };
      if (ours <= term) return { index: at, term: ours };
    }
    return { index: 0, term: 0 };
  }

  commitTo(index: number): void {
    if (index <= this.committed) return;
    const last = this.lastIndex();
    if (last < index) {
      throw new InvariantError(
        `commit index ${index} is beyond the last index ${last}: was the log corrupted, truncated or lost?`,
      );
    }
    this.committed = index;
  }

  /** Commits up to `index` if that entry is of `term`. Returns whether the index moved. */
  maybeCommit(index: number, term: number): boolean {
    if (index <= this.committed || term === 0 || this.term(index) !== term) return false;
    this.commitTo(index);
    return true;
  }

  appliedTo(index: number, bytes: number): void {
    if (this.committed < index || index < this.applied) {
      throw new InvariantError(`applied index ${index} is not within [${this.applied}, ${this.committed}]`);
    }
    this.applied = index;
    this.applying = Math.max(this.applying, index);
    this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes);
    this.#applyingPaused = this.#applyingBytes >= this.maxApplyingBytes;
  }

  /** Notes that entries up to `index` of `bytes` were handed out to be applied. */
  acceptApplying(index: number, bytes: number, allowUnstable: boolean): void {
    if (this.committed < index)
      throw new InvariantError(`entry ${index} handed out to be applied beyond commit ${this.committed}`);
    this.applying = index;
    this.#applyingBytes += bytes;
    // Fewer entries than there were means that the next one would have burst the limit.
    this.#applyingPaused = this.#applyingBytes >= this.maxApplyingBytes || index < this.#maxAppliable(allowUnstable);
  }

  hasNextCommitted(allowUnstable: boolean): boolean {
    // What a pending snapshot holds must be installed before anything after it is applied.
    if (this.#applyingPaused || this.unstable.snapshot !== undefined) return false;
    return this.applying < this.#maxAppliable(allowUnstable);
  }

  /** Returns the next entries to apply; with `allowUnstable` also those storage does not have yet. */
  nextCommitted(allowUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommitted(allowUnstable)) return NO_ENTRIES;
    const room = this.maxApplyingBytes - this.#applyingBytes;
    if (room <= 0)
      throw new InvariantError(`no room to apply: ${this.#applyingBytes} of ${this.maxApplyingBytes} bytes are out`);
    return this.slice(this.applying + 1, this.#maxAppliable(allowUnstable) + 1, room);
  }

  snapshot(): Snapshot {
    return this.unstable.snapshot ?? this.#storage.snapshot();
  }

  restore(snapshot: Snapshot): void {
    const { index, term } = snapshot.metadata;
    this.#emit?.({ kind: "snapshotRestoring", log: this.marks(), snapshot: { index, term } });
    this.committed = index;
    this.unstable.restore(snapshot);
  }

  /** Returns entries from `index` on, at most `maxBytes` of them (but one in any case); none beyond the last index. */
  entriesFrom(index: number, maxBytes: number): readonly Entry[] {
    const last = this.lastIndex();
    return index > last ? NO_ENTRIES : this.slice(index, last + 1, maxBytes);
  }

  /** Returns entries of [lo, hi), at most `maxBytes` of them (but one in any case). */
  slice(lo: number, hi: number, maxBytes: number): readonly Entry[] {
    if (lo < this.firstIndex() || lo > hi || hi > this.lastIndex() + 1) {
      throw new InvariantError(`entries [${lo}, ${hi}) are not within [${this.firstIndex()}, ${this.lastIndex() + 1})`);
    }
    if (lo === hi) return NO_ENTRIES;
    const { unstable } = this;
    if (lo >= unstable.offset) return this.#unstableWithin(lo, hi, maxBytes);
    const cut = Math.min(hi, unstable.offset);
    const stored = this.#storage.entries(lo, cut, maxBytes);
    if (hi <= unstable.offset || stored.length < cut - lo) return stored;
    const bytes = maxBytes === NO_LIMIT ? 0 : entriesSize(stored);
    if (bytes >= maxBytes) return stored;
    const tail = this.#unstableWithin(unstable.offset, hi, maxBytes - bytes);
    if (tail.length === 1 && maxBytes !== NO_LIMIT && bytes + entriesSize(tail) > maxBytes) return stored;
    return [...stored, ...tail];
  }

  #unstableWithin(lo: number, hi: number, maxBytes: number): Entry[] {
    const { entries, offset } = this.unstable;
    const count = maxBytes === NO_LIMIT ? hi - lo : countWithin(entries, lo - offset, hi - offset, maxBytes);
    return this.unstable.slice(lo, lo + count);
  }

  #maxAppliable(allowUnstable: boolean): number {
    return allowUnstable ? this.committed : Math.min(this.committed, this.unstable.offset - 1);
  }

  /** Returns the index of the first entry that this log lacks or has with another term, or 0. */
  #findConflict(entries: readonly Entry[]): number {
    for (const entry of entries) {
      const existingTerm = this.term(entry.index);
      if (existingTerm === entry.term) continue;
      if (existingTerm >= 0) {
        this.#emit?.({ kind: "logConflict", index: entry.index, existingTerm, conflictingTerm: entry.term });
      }
      return entry.index;
    }
    return 0;
  }
}
