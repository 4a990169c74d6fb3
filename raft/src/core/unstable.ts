import { InvariantError } from "@rhea/common";
import { NO_ENTRIES } from "./message.js";
import type { RaftEventBody } from "./events.js";
import type { Entry, Snapshot } from "./types.js";

/** Takes events of the log; undefined when nobody listens. */
export type EmitEvent = ((event: RaftEventBody) => void) | undefined;

/**
 * Holds the tail of the log, and a snapshot, that storage does not surely have yet: both what nobody has been told to write and what
 * is being written. `offset` may lie below storage's last index; the next write then replaces what storage has from there on.
 */
export class UnstableLog {
  snapshot: Snapshot | undefined = undefined;
  /** Is the index of entries[0]. */
  offset: number;
  /** Is the index after the last entry being written. Invariant: offset <= offsetInProgress <= offset + entries.length. */
  offsetInProgress: number;
  snapshotInProgress = false;
  #entries: Entry[] = [];
  readonly #emit: EmitEvent;

  constructor(offset: number, emit: EmitEvent) {
    this.offset = offset;
    this.offsetInProgress = offset;
    this.#emit = emit;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Returns the last index, or -1 when nothing is unstable. */
  lastIndex(): number {
    if (this.#entries.length > 0) return this.offset + this.#entries.length - 1;
    return this.snapshot === undefined ? -1 : this.snapshot.metadata.index;
  }

  /** Returns the term at `index`, or -1 when it is not unstable. */
  term(index: number): number {
    if (index < this.offset) {
      const metadata = this.snapshot?.metadata;
      return metadata !== undefined && metadata.index === index ? metadata.term : -1;
    }
    return this.#entries[index - this.offset]?.term ?? -1;
  }

  get hasNextEntries(): boolean {
    return this.offset + this.#entries.length > this.offsetInProgress;
  }

  /** Returns the entries nobody has been told to write yet. */
  nextEntries(): readonly Entry[] {
    return this.hasNextEntries ? this.#entries.slice(this.offsetInProgress - this.offset) : NO_ENTRIES;
  }

  /** Returns the snapshot, unless it is being written already. */
  nextSnapshot(): Snapshot | undefined {
    return this.snapshotInProgress ? undefined : this.snapshot;
  }

  /** Marks everything as being written. */
  acceptInProgress(): void {
    this.offsetInProgress = this.offset + this.#entries.length;
    if (this.snapshot !== undefined) this.snapshotInProgress = true;
  }

  /** Lets go of the entries up to (index, term), which storage now has for good; says so when it does not know that entry any more. */
  stableTo(index: number, term: number): void {
    const unstableTerm = this.term(index);
    if (unstableTerm < 0) {
      this.#emit?.({ kind: "stableEntryMissing", index });
      return;
    }
    if (index < this.offset) {
      this.#emit?.({ kind: "stableEntryIsSnapshot", index });
      return;
    }
    if (unstableTerm !== term) {
      this.#emit?.({ kind: "stableEntryMismatch", index, term, unstableTerm });
      return;
    }
    const count = index + 1 - this.offset;
    this.#entries = count === this.#entries.length ? [] : this.#entries.slice(count);
    this.offset = index + 1;
    this.offsetInProgress = Math.max(this.offsetInProgress, this.offset);
  }

  stableSnapshotTo(index: number): void {
    if (this.snapshot?.metadata.index !== index) return;
    this.snapshot = undefined;
    this.snapshotInProgress = false;
  }

  restore(snapshot: Snapshot): void {
    this.offset = snapshot.metadata.index + 1;
    this.offsetInProgress = this.offset;
    this.#entries = [];
    this.snapshot = snapshot;
    this.snapshotInProgress = false;
  }

  /** Appends entries, first dropping what lies at or after the first of them. */
  truncateAndAppend(entries: readonly Entry[]): void {
    const from = entries[0]?.index;
    if (from === undefined) return;
    if (from === this.offset + this.#entries.length) {
      for (const entry of entries) this.#entries.push(entry);
      return;
    }
    if (from <= this.offset) {
      this.#emit?.({ kind: "unstableReplaced", index: from });
      this.#entries = [...entries];
      this.offset = from;
      this.offsetInProgress = from;
      return;
    }
    this.#emit?.({ kind: "unstableTruncated", index: from });
    this.#checkRange(this.offset, from);
    this.#entries = [...this.#entries.slice(0, from - this.offset), ...entries];
    this.offsetInProgress = Math.min(this.offsetInProgress, from);
  }

  /** Returns a copy of the entries of [lo, hi), all of which must be here. */
  slice(lo: number, hi: number): Entry[] {
    this.#checkRange(lo, hi);
    return this.#entries.slice(lo - this.offset, hi - this.offset);
  }

  #checkRange(lo: number, hi: number): void {
    const end = this.offset + this.#entries.length;
    if (lo > hi || lo < this.offset || hi > end) {
      throw new InvariantError(`unstable entries [${lo}, ${hi}) are not within [${this.offset}, ${end})`);
    }
  }
}
