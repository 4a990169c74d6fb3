/** The follower's side of resting: of the groups followed here, those that rest under a leader on one store. */
import type { Group } from "./group.js";
import { BUCKETS, bucketOf, RestSet, type RestTerms } from "./quiet-set.js";

/** One group that rests here, or that its leader still believes to rest here. */
export interface FollowedEntry extends RestTerms {
  readonly group: Group;
  readonly sinceTick: number;
  isResting: boolean;
}

/** What comparing with a leader's digest found. */
export interface Comparison {
  readonly differing: readonly number[];
  /** Groups of the buckets that differ. */
  readonly groups: readonly Group[];
}

/** Groups that rest under leaders on one store. */
export class FollowedSet {
  readonly storeId: number;
  /** The life of the store that leads them. */
  readonly incarnation: number;
  readonly #entries = new RestSet<FollowedEntry>();
  readonly #renewed = new Float64Array(BUCKETS);
  /** Entries that do not rest any more and whose leader does not know it yet. */
  readonly #left = new Set<number>();

  constructor(storeId: number, incarnation: number) {
    this.storeId = storeId;
    this.incarnation = incarnation;
  }

  get size(): number {
    return this.#entries.size;
  }

  get left(): readonly number[] {
    return [...this.#left];
  }

  heardTick({ groupId, sinceTick }: FollowedEntry): number {
    return Math.max(sinceTick, this.#renewed[bucketOf(groupId)] ?? 0);
  }

  get(groupId: number): FollowedEntry | undefined {
    return this.#entries.get(groupId);
  }

  add(entry: FollowedEntry): void {
    const bucket = bucketOf(entry.groupId);
    if (this.#entries.isEmptyBucket(bucket)) this.#renewed[bucket] = entry.sinceTick;
    this.#left.delete(entry.groupId);
    this.#entries.add(entry);
  }

  /** Its leader knows that the group is awake. */
  remove(groupId: number): void {
    this.#left.delete(groupId);
    this.#entries.remove(groupId);
  }

  /** The group woke by itself: its leader is to be told. */
  leave(entry: FollowedEntry): void {
    entry.isResting = false;
    this.#left.add(entry.groupId);
  }

  /** Renews the buckets that are the same on the leader's side; returns the others, which are to be emptied. */
  compare(digest: Uint8Array, tick: number): Comparison {
    const differing: number[] = [];
    const groups: Group[] = [];
    this.#entries.compare(digest, (bucket, isSame) => {
      if (isSame) {
        this.#renewed[bucket] = tick;
        return;
      }
      differing.push(bucket);
      for (const { group } of this.#entries.entriesOf(bucket)) groups.push(group);
    });
    return { differing, groups };
  }

  /** Returns the groups of buckets that were not renewed for `ticks`. */
  silent(tick: number, ticks: number): readonly Group[] {
    const silent: Group[] = [];
    if (this.#entries.size === 0) return silent;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if (this.#entries.isEmptyBucket(bucket) || tick - (this.#renewed[bucket] ?? 0) < ticks) continue;
      for (const { group } of this.#entries.entriesOf(bucket)) silent.push(group);
    }
    return silent;
  }

  all(): readonly Group[] {
    const all: Group[] = [];
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      for (const { group } of this.#entries.entriesOf(bucket)) all.push(group);
    }
    return all;
  }
}
