import type { SegmentSet } from "./segment-set.js";

/** The segment of an entry whose bytes were not found (yet): recovery condemns a group that keeps one. */
export const MISSING = 0;

const STRIDE = 3;
const INITIAL_CAPACITY = 16;

/**
 * Where a group's live entries are: a window of indexes in compact arrays, 20 bytes per entry.
 * Keeps the live counts of the segments right. Invariant: holds exactly the indexes first..last.
 */
export class EntryIndex {
  /** Bytes of the entries' records. */
  liveBytes = 0;
  /** How many of the entries are {@link MISSING}. */
  missing = 0;
  readonly #segments: SegmentSet;
  #first: number;
  #count = 0;
  /** Array slot of `#first`. */
  #head = 0;
  #places: Uint32Array = new Uint32Array(0);
  #terms: Float64Array = new Float64Array(0);

  constructor(segments: SegmentSet, first: number) {
    this.#segments = segments;
    this.#first = first;
  }

  get first(): number {
    return this.#first;
  }

  /** Invariant: last = first - 1 when empty. */
  get last(): number {
    return this.#first + this.#count - 1;
  }

  term(index: number): number {
    return this.#terms[this.#slot(index)] as number;
  }

  segment(index: number): number {
    return this.#places[this.#slot(index) * STRIDE] as number;
  }

  offset(index: number): number {
    return this.#places[this.#slot(index) * STRIDE + 1] as number;
  }

  length(index: number): number {
    return this.#places[this.#slot(index) * STRIDE + 2] as number;
  }

  /** Appends the entry after the last. */
  push(term: number, segment: number, offset: number, length: number): void {
    const slot = this.#head + this.#count;
    if (slot === this.#terms.length) {
      this.#makeRoom();
      this.push(term, segment, offset, length);
      return;
    }
    this.#count++;
    this.#set(slot, term, segment, offset, length);
  }

  /**
   * Appends the entry after the last without counting it as live in its segment, which is no {@link MISSING} one: whoever appends a run of one
   * segment calls {@link EntryIndex.countRun} at its end.
   */
  pushUncounted(term: number, segment: number, offset: number, length: number): void {
    const slot = this.#head + this.#count;
    if (slot === this.#terms.length) {
      this.#makeRoom();
      this.pushUncounted(term, segment, offset, length);
      return;
    }
    this.#count++;
    const place = slot * STRIDE;
    const places = this.#places;
    this.#terms[slot] = term;
    places[place] = segment;
    places[place + 1] = offset;
    places[place + 2] = length;
  }

  /** Counts what was appended with {@link EntryIndex.pushUncounted}. */
  countRun(segment: number, entries: number, bytes: number): void {
    this.liveBytes += bytes;
    this.#segments.retain(segment, entries, bytes);
  }

  /** Replaces the place of one index. */
  replace(index: number, term: number, segment: number, offset: number, length: number): void {
    const slot = this.#slot(index);
    this.#release(slot, slot + 1);
    this.#set(slot, term, segment, offset, length);
  }

  /** Drops `index` and everything after it. */
  dropFrom(index: number): void {
    if (index > this.last) return;
    const keep = Math.max(0, index - this.#first);
    this.#release(this.#head + keep, this.#head + this.#count);
    this.#count = keep;
  }

  /** Drops everything up to and including `index`; the window begins after it from now on. */
  dropThrough(index: number): void {
    const drop = Math.min(this.#count, Math.max(0, index - this.#first + 1));
    this.#release(this.#head, this.#head + drop);
    this.#count -= drop;
    this.#head = this.#count === 0 ? 0 : this.#head + drop;
    this.#first = Math.max(this.#first, index + 1);
    this.#shrink();
  }

  /** Drops everything; the window begins at `first` from now on. */
  reset(first: number): void {
    this.dropFrom(this.#first);
    this.#first = first;
    this.#head = 0;
    this.#shrink();
  }

  #slot(index: number): number {
    return this.#head + index - this.#first;
  }

  #set(slot: number, term: number, segment: number, offset: number, length: number): void {
    const place = slot * STRIDE;
    this.#terms[slot] = term;
    this.#places[place] = segment;
    this.#places[place + 1] = offset;
    this.#places[place + 2] = length;
    if (segment === MISSING) {
      this.missing++;
      return;
    }
    this.liveBytes += length;
    this.#segments.retain(segment, 1, length);
  }

  /** Gives entries of slots [from, to) back to their segments, a run of one segment at a time. */
  #release(from: number, to: number): void {
    let slot = from;
    while (slot < to) {
      const segment = this.#places[slot * STRIDE] as number;
      let bytes = 0;
      const runStart = slot;
      for (; slot < to && this.#places[slot * STRIDE] === segment; slot++)
        bytes += this.#places[slot * STRIDE + 2] as number;
      if (segment === MISSING) {
        this.missing -= slot - runStart;
        continue;
      }
      this.liveBytes -= bytes;
      this.#segments.release(segment, slot - runStart, bytes);
    }
  }

  /** Moves the window to the front, into larger arrays if it fills more than half: so copying stays constant per push. */
  #makeRoom(): void {
    const capacity = this.#terms.length;
    this.#reallocate(this.#count * 2 > capacity ? capacity * 2 : Math.max(capacity, INITIAL_CAPACITY));
  }

  /** Gives memory back when the window fills less than a quarter. */
  #shrink(): void {
    let capacity = this.#terms.length;
    while (capacity > INITIAL_CAPACITY && this.#count * 4 < capacity) capacity = Math.ceil(capacity / 2);
    if (this.#count === 0) capacity = 0;
    if (capacity !== this.#terms.length) this.#reallocate(capacity);
  }

  #reallocate(capacity: number): void {
    const end = this.#head + this.#count;
    const terms = new Float64Array(capacity);
    const places = new Uint32Array(capacity * STRIDE);
    terms.set(this.#terms.subarray(this.#head, end));
    places.set(this.#places.subarray(this.#head * STRIDE, end * STRIDE));
    this.#terms = terms;
    this.#places = places;
    this.#head = 0;
  }
}
