/** How much a region is read and written, and about how large it is: what PD schedules by. */

/** Counts since the last {@link RegionLoad.take}. */
export interface LoadCounts {
  readonly bytesRead: number;
  readonly keysRead: number;
  readonly bytesWritten: number;
  readonly keysWritten: number;
}

/** Below this many changed bytes a region is not measured again. */
const MEASURE_MIN_BYTES = 1 << 20;

/** One region's counters and size estimate. */
export class RegionLoad {
  readonly #total = { bytesRead: 0, keysRead: 0, bytesWritten: 0, keysWritten: 0 };
  #taken: LoadCounts = { bytesRead: 0, keysRead: 0, bytesWritten: 0, keysWritten: 0 };
  /** As of the last measurement, plus what was written since (an overwrite counts as new until the next one). */
  #size: number;
  #keys: number;
  #measuredSize: number;
  #changedBytes = 0;
  /** Engine-free key near the middle by bytes, as of the last measurement. */
  middleKey: string | undefined;

  constructor(size: number, keys: number) {
    this.#size = size;
    this.#keys = keys;
    this.#measuredSize = size;
  }

  get approximateSize(): number {
    return Math.max(0, this.#size);
  }

  get approximateKeys(): number {
    return Math.max(0, this.#keys);
  }

  /** Whether enough changed since the last measurement to make the estimate doubtful. */
  get isDue(): boolean {
    return this.#changedBytes > Math.max(MEASURE_MIN_BYTES, this.#measuredSize / 2);
  }

  read(keys: number, bytes: number): void {
    this.#total.keysRead += keys;
    this.#total.bytesRead += bytes;
  }

  put(bytes: number): void {
    this.#total.keysWritten++;
    this.#total.bytesWritten += bytes;
    this.#size += bytes;
    this.#keys++;
    this.#changedBytes += bytes;
  }

  delete(keyBytes: number): void {
    this.#total.keysWritten++;
    this.#total.bytesWritten += keyBytes;
    this.#keys--;
    this.#changedBytes += keyBytes;
  }

  /** Takes the result of a walk over the region. */
  measured(size: number, keys: number, middleKey: string | undefined): void {
    this.#size = size;
    this.#keys = keys;
    this.#measuredSize = size;
    this.#changedBytes = 0;
    this.middleKey = middleKey;
  }

  /** Forgets what is known of the size: the next look measures. */
  invalidate(): void {
    this.#changedBytes = Number.MAX_SAFE_INTEGER;
    this.middleKey = undefined;
  }

  /** Sets an estimate, for both halves of a split until they are measured. */
  estimate(size: number, keys: number): void {
    this.#size = size;
    this.#keys = keys;
  }

  /** Counts since the region was opened here. */
  get total(): LoadCounts {
    return this.#total;
  }

  /** Whether anything was read or written since the last {@link RegionLoad.take}. */
  get hasTraffic(): boolean {
    const { keysRead, keysWritten } = this.#total;
    return keysRead > this.#taken.keysRead || keysWritten > this.#taken.keysWritten;
  }

  /** Takes the counts since the last call. */
  take(): LoadCounts {
    const total = this.#total;
    const counts = {
      bytesRead: total.bytesRead - this.#taken.bytesRead,
      keysRead: total.keysRead - this.#taken.keysRead,
      bytesWritten: total.bytesWritten - this.#taken.bytesWritten,
      keysWritten: total.keysWritten - this.#taken.keysWritten,
    };
    this.#taken = { ...total };
    return counts;
  }
}
