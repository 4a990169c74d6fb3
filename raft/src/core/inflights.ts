import { InvariantError } from "@rhea/common";

/**
 * Is the sliding window of append messages sent to one follower and not yet acknowledged: a ring of (last index, bytes), which
 * grows on demand because most followers never come near the limit.
 */
export class Inflights {
  readonly #maxMsgs: number;
  readonly #maxBytes: number;
  #start = 0;
  #count = 0;
  #bytes = 0;
  #indexes: number[] = [];
  #sizes: number[] = [];

  /** Limits the window to `maxMsgs` messages; it is also full once `maxBytes` are reached (not: exceeded by the next). */
  constructor(maxMsgs: number, maxBytes: number) {
    this.#maxMsgs = maxMsgs;
    this.#maxBytes = maxBytes;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isFull(): boolean {
    return this.#count === this.#maxMsgs || this.#bytes >= this.#maxBytes;
  }

  /** Notes a message whose last entry is `index`. Indexes must not decrease. */
  add(index: number, bytes: number): void {
    if (this.isFull)
      throw new InvariantError(`inflight window of ${this.#count} messages is full, cannot add index ${index}`);
    if (this.#count === this.#indexes.length) this.#grow();
    let at = this.#start + this.#count;
    if (at >= this.#indexes.length) at -= this.#indexes.length;
    this.#indexes[at] = index;
    this.#sizes[at] = bytes;
    this.#count++;
    this.#bytes += bytes;
  }

  /** Frees all messages up to and including the one that ends at `index`. */
  freeTo(index: number): void {
    while (this.#count > 0 && (this.#indexes[this.#start] as number) <= index) {
      this.#bytes -= this.#sizes[this.#start] as number;
      this.#count--;
      this.#start++;
      if (this.#start === this.#indexes.length) this.#start = 0;
    }
    if (this.#count === 0) this.#start = 0;
  }

  reset(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  #grow(): void {
    const size = Math.min(Math.max(1, this.#indexes.length * 2), this.#maxMsgs);
    const indexes = new Array<number>(size).fill(0);
    const sizes = new Array<number>(size).fill(0);
    for (let i = 0; i < this.#count; i++) {
      const from = (this.#start + i) % this.#indexes.length;
      indexes[i] = this.#indexes[from] as number;
      sizes[i] = this.#sizes[from] as number;
    }
    this.#indexes = indexes;
    this.#sizes = sizes;
    this.#start = 0;
  }
}
