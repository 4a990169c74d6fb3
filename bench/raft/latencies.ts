/** Latencies of many operations in little memory: counts per bucket, buckets a few percent wide. */

const BUCKETS_PER_DOUBLING = 16;
const SMALLEST_MS = 0.001;

/** A histogram of times in ms. */
export class Latencies {
  count = 0;
  readonly #buckets = new Float64Array(40 * BUCKETS_PER_DOUBLING);

  /** Counts `times` operations that took `ms`. */
  add(ms: number, times = 1): void {
    const doublings = Math.log2(Math.max(ms, SMALLEST_MS) / SMALLEST_MS);
    const bucket = Math.min(this.#buckets.length - 1, Math.floor(doublings * BUCKETS_PER_DOUBLING));
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + times;
    this.count += times;
  }

  /** The time that a share `q` of 0..1 of the operations did not exceed, to within a bucket; 0 without operations. */
  quantile(q: number): number {
    let left = this.count * q;
    for (let bucket = 0; bucket < this.#buckets.length; bucket++) {
      left -= this.#buckets[bucket] ?? 0;
      if (left <= 0 && this.count > 0) return SMALLEST_MS * 2 ** ((bucket + 1) / BUCKETS_PER_DOUBLING);
    }
    return 0;
  }
}
