/** The ordered map that regions live in. Keys are Latin-1 strings (one char per byte), so `<` is unsigned byte order. */

/** A key with its value, as iterators give them. */
export interface KvEntry {
  readonly key: string;
  readonly value: Buffer;
}

/** Which keys to walk: [start, end); an empty `end` is the end of the keyspace. */
export interface KvRange {
  readonly start: string;
  readonly end: string;
  /** From the greatest key down. Default false. */
  readonly reverse?: boolean;
}

/** Writes gathered to become durable together or not at all. */
export interface KvBatch {
  put(key: string, value: Uint8Array): void;
  delete(key: string): void;
  /** Records so far. */
  readonly length: number;
}

/** Walks a range of one consistent state, in slices that the caller bounds. */
export interface KvIterator {
  /** Resolves to the next 1..`max` entries, or none at the end. Not to be called again before it has resolved. */
  next(max: number): Promise<KvEntry[]>;
  close(): Promise<void>;
}

/** A consistent state of the engine at the moment it was taken. */
export interface KvSnapshot {
  get(key: string): Buffer | undefined;
  iterate(range: KvRange): KvIterator;
  close(): Promise<void>;
}

/**
 * An ordered, durable key-value engine. Batches are atomic and durable in the order of the calls of {@link KvEngine.write}: after a
 * crash the state is that of a prefix of them which contains every resolved one. Every engine passes `engine-suite.ts`.
 */
export interface KvEngine {
  /** Reads a key, blocking. Callers must not change the result. */
  get(key: string): Buffer | undefined;
  batch(): KvBatch;
  /** Resolves when the batch is durable; a failure is final for the engine (`DISK_FAILED`). A batch is written once. */
  write(batch: KvBatch): Promise<void>;
  /** Walks the state of this moment. */
  iterate(range: KvRange): KvIterator;
  /** Pins the state of this moment. */
  snapshot(): KvSnapshot;
  /** Deletes [start, end) in slices, each a batch of its own, so that other work goes on in between; durable when resolved. */
  clearRange(start: string, end: string): Promise<void>;
  /** Estimates the bytes stored in [start, end); recent writes may be missing. */
  approximateSize(start: string, end: string): Promise<number>;
  /** Releases files; pending writes are finished. Idempotent. */
  close(): Promise<void>;
}
