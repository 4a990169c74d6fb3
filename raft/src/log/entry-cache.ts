import type { Entry } from "../core/types.js";

/** What an entry in memory costs beside its data. Bytes, a rough figure. */
const ENTRY_COST_BYTES = 100;

/** The newest entries of one group, without gaps up to its last index. */
export class CachedTail {
  #first = 1;
  #entries: Entry[] = [];
  /** Slot of `#first`; the slots before it are dropped now and then. */
  #head = 0;

  /** Index of the oldest entry held; one after the newest if none is. */
  get first(): number {
    return this.#first;
  }

  get(index: number): Entry | undefined {
    return index < this.#first ? undefined : this.#entries[this.#head + index - this.#first];
  }

  /** Appends an entry; one that does not continue the tail begins a new tail. */
  push(entry: Entry): void {
    if (this.#entries.length === this.#head || entry.index !== this.#first + this.#entries.length - this.#head) {
      this.clear();
      this.#first = entry.index;
    }
    this.#entries.push(entry);
  }

  /** Drops `index` and everything after it. */
  dropFrom(index: number): void {
    const keep = index - this.#first;
    if (keep <= 0) this.clear();
    else if (this.#head + keep < this.#entries.length) this.#entries.length = this.#head + keep;
  }

  /** Drops everything up to and including `index`. */
  dropThrough(index: number): void {
    const drop = index - this.#first + 1;
    if (drop <= 0) return;
    if (this.#head + drop >= this.#entries.length) {
      this.clear();
      return;
    }
    this.#head += drop;
    this.#first += drop;
    if (this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }

  clear(): void {
    this.#entries = [];
    this.#head = 0;
  }
}

interface Chunk {
  readonly tail: CachedTail;
  readonly last: number;
  readonly bytes: number;
}

/**
 * Bounds the memory of all tails together: keeps the last `maxBytes` that were appended, of whatever group.
 * A window over appends, not a count of what is held: so it stays short when groups are truncated quickly.
 */
export class EntryCache {
  readonly #maxBytes: number;
  #bytes = 0;
  #chunks: Chunk[] = [];
  #head = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Remembers entries that follow the group's last; drops the oldest of all groups where there are too many. */
  put(tail: CachedTail, entries: readonly Entry[]): void {
    const newest = entries.at(-1);
    if (newest === undefined) return;
    let bytes = ENTRY_COST_BYTES;
    for (const entry of entries) {
      tail.push(entry);
      bytes += entry.data.length + ENTRY_COST_BYTES;
    }
    this.#chunks.push({ tail, last: newest.index, bytes });
    this.#bytes += bytes;
    this.#evict();
  }

  #evict(): void {
    while (this.#bytes > this.#maxBytes) {
      const oldest = this.#chunks[this.#head];
      if (oldest === undefined) break;
      oldest.tail.dropThrough(oldest.last);
      this.#bytes -= oldest.bytes;
      this.#head++;
    }
    if (this.#head > 1024 && this.#head * 2 > this.#chunks.length) {
      this.#chunks = this.#chunks.slice(this.#head);
      this.#head = 0;
    }
  }
}
