/** The leader's side of resting: of the groups led here, those that rest with a follower on one store. */
import type { Group } from "./group.js";
import { BUCKETS, bucketOf, RestSet, type RestTerms } from "./quiet-set.js";

/** One resting group and follower. */
export interface LedEntry extends RestTerms {
  readonly group: Group;
  readonly set: LedSet;
  readonly sinceTick: number;
}

/** Groups that rest with followers on one store. */
export class LedSet {
  readonly storeId: number;
  /** The life of the store that agreed to all of it. */
  incarnation = 0;
  readonly entries = new RestSet<LedEntry>();
  /** Groups that rest without their follower there, as the store cannot be reached. */
  readonly away = new Set<Group>();
  readonly #confirmed = new Float64Array(BUCKETS);
  readonly #provenMs = new Float64Array(BUCKETS);
  #woken: number[] = [];

  constructor(storeId: number) {
    this.storeId = storeId;
  }

  /** Whether the store has to hear anything of it. */
  get hasNews(): boolean {
    return this.entries.size > 0 || this.#woken.length > 0 || this.away.size > 0;
  }

  heardTick({ groupId, sinceTick }: LedEntry): number {
    return Math.max(sinceTick, this.#confirmed[bucketOf(groupId)] ?? 0);
  }

  /** Time, on this process's monotonic clock, at which a digest was sent that the follower has confirmed; 0 if none. */
  provenMs({ groupId }: LedEntry): number {
    return this.#provenMs[bucketOf(groupId)] ?? 0;
  }

  add(entry: LedEntry): void {
    const bucket = bucketOf(entry.groupId);
    if (this.entries.isEmptyBucket(bucket)) {
      this.#confirmed[bucket] = entry.sinceTick;
      this.#provenMs[bucket] = 0;
    }
    this.entries.add(entry);
  }

  remove(groupId: number): void {
    if (this.entries.remove(groupId) !== undefined) this.#woken.push(groupId);
  }

  takeWoken(): readonly number[] {
    const woken = this.#woken;
    this.#woken = [];
    return woken;
  }

  /** The store found all buckets the same but these, comparing with what was sent at `sentMs`. */
  confirmAllBut(differing: ReadonlySet<number>, tick: number, sentMs: number): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if (differing.has(bucket)) continue;
      this.#confirmed[bucket] = tick;
      this.#provenMs[bucket] = Math.max(this.#provenMs[bucket] ?? 0, sentMs);
    }
  }

  /** Returns the groups of buckets that were not confirmed for `ticks`. */
  silent(tick: number, ticks: number): readonly Group[] {
    const silent: Group[] = [];
    if (this.entries.size === 0) return silent;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if (this.entries.isEmptyBucket(bucket) || tick - (this.#confirmed[bucket] ?? 0) < ticks) continue;
      for (const { group } of this.entries.entriesOf(bucket)) silent.push(group);
    }
    return silent;
  }

  /** Returns all groups here, those that rest without this store among them. */
  all(): readonly Group[] {
    const all = [...this.away];
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      for (const { group } of this.entries.entriesOf(bucket)) all.push(group);
    }
    return all;
  }
}
