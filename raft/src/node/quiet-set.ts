/** A set of resting groups that two processes hold alike, with digests by which they can see that they do. */
import type { PeerId } from "../core/types.js";

/** Parts of a set that are compared, renewed and mended by themselves. */
export const BUCKETS = 64;
const ENTRY_BYTES = 9;

/** What both sides must agree on about one resting group. */
export interface RestTerms {
  readonly groupId: number;
  readonly leader: PeerId;
  readonly follower: PeerId;
  readonly term: number;
  readonly commit: number;
}

/** Entries by group id. */
export class RestSet<E extends RestTerms> {
  readonly #buckets: readonly Map<number, E>[] = Array.from({ length: BUCKETS }, () => new Map<number, E>());
  /** Two hashes per bucket: the exclusive-or over its entries. */
  readonly #hashes = new Uint32Array(2 * BUCKETS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(groupId: number): E | undefined {
    return this.#bucket(bucketOf(groupId)).get(groupId);
  }

  /** Adds an entry in place of an earlier one of the group. */
  add(entry: E): void {
    this.remove(entry.groupId);
    const bucket = bucketOf(entry.groupId);
    this.#bucket(bucket).set(entry.groupId, entry);
    this.#size++;
    this.#mix(bucket, entry);
  }

  remove(groupId: number): E | undefined {
    const bucket = bucketOf(groupId);
    const entries = this.#bucket(bucket);
    const entry = entries.get(groupId);
    if (entry === undefined) return undefined;
    entries.delete(groupId);
    this.#size--;
    this.#mix(bucket, entry);
    return entry;
  }

  /** Returns a copy of a bucket's entries; empty for a number that is none. */
  entriesOf(bucket: number): readonly E[] {
    return [...(this.#buckets[bucket]?.values() ?? [])];
  }

  isEmptyBucket(bucket: number): boolean {
    return this.#bucket(bucket).size === 0;
  }

  /** Returns the digests of all buckets that are not empty. */
  digest(): Uint8Array {
    const out = Buffer.alloc(ENTRY_BYTES * BUCKETS);
    let at = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if (this.isEmptyBucket(bucket)) continue;
      out.writeUInt8(bucket, at);
      out.writeUInt32LE(this.#hashes[2 * bucket] ?? 0, at + 1);
      out.writeUInt32LE(this.#hashes[2 * bucket + 1] ?? 0, at + 5);
      at += ENTRY_BYTES;
    }
    return out.subarray(0, at);
  }

  /** Compares with another set's digest and tells for each bucket that is not empty on both sides whether it is the same. */
  compare(digest: Uint8Array, tell: (bucket: number, isSame: boolean) => void): void {
    const view = new DataView(digest.buffer, digest.byteOffset, digest.byteLength);
    const told = new Uint8Array(BUCKETS);
    for (let at = 0; at + ENTRY_BYTES <= view.byteLength; at += ENTRY_BYTES) {
      const bucket = view.getUint8(at);
      if (bucket >= BUCKETS || told[bucket] === 1) continue;
      told[bucket] = 1;
      const isSame =
        !this.isEmptyBucket(bucket) &&
        view.getUint32(at + 1, true) === this.#hashes[2 * bucket] &&
        view.getUint32(at + 5, true) === this.#hashes[2 * bucket + 1];
      tell(bucket, isSame);
    }
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if (told[bucket] === 0 && !this.isEmptyBucket(bucket)) tell(bucket, false);
    }
  }

  #bucket(bucket: number): Map<number, E> {
    return this.#buckets[bucket] as Map<number, E>;
  }

  #mix(bucket: number, entry: RestTerms): void {
    for (const lane of [0, 1] as const) {
      const at = 2 * bucket + lane;
      this.#hashes[at] = (this.#hashes[at] ?? 0) ^ hashOf(entry, lane);
    }
  }
}

/** Returns the bucket of a group. */
export function bucketOf(groupId: number): number {
  return groupId % BUCKETS;
}

function hashOf({ groupId, leader, follower, term, commit }: RestTerms, lane: 0 | 1): number {
  let hash = lane === 0 ? 0x9e3779b9 : 0x85ebca77;
  hash = mixed(hash, groupId, lane);
  hash = mixed(hash, leader, lane);
  hash = mixed(hash, follower, lane);
  hash = mixed(hash, term, lane);
  return mixed(hash, commit, lane) >>> 0;
}

/** Mixes a whole number of up to 53 bits in, as MurmurHash3's finalizer does; the lanes differ in their multipliers. */
function mixed(seed: number, value: number, lane: 0 | 1): number {
  return stirred(stirred(seed ^ (value >>> 0), lane) ^ Math.floor(value / 2 ** 32), lane);
}

function stirred(value: number, lane: 0 | 1): number {
  let hash = value ^ (value >>> 16);
  hash = Math.imul(hash, lane === 0 ? 0x85ebca6b : 0x7feb352d);
  hash ^= hash >>> (lane === 0 ? 13 : 15);
  hash = Math.imul(hash, lane === 0 ? 0xc2b2ae35 : 0x846ca68b);
  return hash ^ (hash >>> 16);
}
