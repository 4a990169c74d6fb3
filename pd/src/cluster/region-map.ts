/** All regions, ordered by start key. Invariants: ranges never overlap; a region's confVer and version never fall. */
import { createOrderedMap, type OrderedMap } from "./ordered-map.js";
import { isJoint, rangesOverlap, type RegionDescriptor, type RegionView } from "./region.js";

/** A region counts at least this much (bytes) when stores are compared by size. */
const MIN_REGION_SCORE = 8 * 1024 * 1024;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type RegionRecord = Mutable<RegionView>;

/** What a leader's report says beside the descriptor. */
export type RegionReportFields = Pick<
  RegionView,
  | "leaderPeerId"
  | "leaderStoreId"
  | "term"
  | "downPeerIds"
  | "pendingPeerIds"
  | "caughtUpPeerIds"
  | "approximateSize"
  | "approximateKeys"
  | "bytesWritten"
  | "bytesRead"
  | "keysWritten"
  | "keysRead"
  | "reportedAtMs"
>;

/** What the regions of one store add up to. */
export interface StoreUsage {
  /** Regions with a peer here, learners included. */
  readonly regionIds: ReadonlySet<number>;
  readonly leaderRegionIds: ReadonlySet<number>;
  /** Sum over the peers here of {@link regionScore}. */
  readonly sizeScore: number;
}

interface UsageRecord extends StoreUsage {
  readonly regionIds: Set<number>;
  readonly leaderRegionIds: Set<number>;
  sizeScore: number;
}

/** What {@link RegionMap.put} did. */
export type PutOutcome =
  | { readonly kind: "stored"; readonly region: RegionView; readonly evicted: readonly RegionView[] }
  | { readonly kind: "unchanged"; readonly region: RegionView }
  /** `by`: the region that makes it stale (itself, or one that overlaps and is not older). */
  | { readonly kind: "stale"; readonly by: RegionView };

/** What a descriptor is against what the map has. */
export type Judgement =
  Exclude<PutOutcome, { kind: "stored" }> | { readonly kind: "newer"; readonly evicts: readonly RegionView[] };

/** What a region adds to a store's size score, in bytes. */
export function regionScore(region: { readonly approximateSize: number }): number {
  return Math.max(region.approximateSize, MIN_REGION_SCORE);
}

const NO_IDS: ReadonlySet<number> = new Set();
const NO_USAGE: StoreUsage = { regionIds: NO_IDS, leaderRegionIds: NO_IDS, sizeScore: 0 };

/** Read access to {@link RegionMap}. */
export interface RegionsView {
  readonly size: number;
  get(regionId: number): RegionView | undefined;
  /** The region whose range holds the key. */
  find(key: string): RegionView | undefined;
  /** Regions that overlap [startKey, endKey) in order, at most `limit`. */
  scan(startKey: string, endKey: string, limit: number): RegionView[];
  usage(storeId: number): StoreUsage;
  /** How many regions a leader has reported since this PD leads. */
  readonly reportedCount: number;
  judge(descriptor: RegionDescriptor): Judgement;
  /** The first range, if any, that no region covers. */
  findHole(): { readonly startKey: string; readonly endKey: string } | undefined;
}

/** The region map with its per-store index. Pure structure: no clock, no I/O. */
export class RegionMap implements RegionsView {
  readonly #byStart: OrderedMap<RegionRecord> = createOrderedMap();
  readonly #byId = new Map<number, RegionRecord>();
  readonly #usage = new Map<number, UsageRecord>();
  #reportedCount = 0;

  get size(): number {
    return this.#byId.size;
  }

  get reportedCount(): number {
    return this.#reportedCount;
  }

  get(regionId: number): RegionView | undefined {
    return this.#byId.get(regionId);
  }

  find(key: string): RegionView | undefined {
    const region = this.#byStart.getPairOrNextLower(key)?.[1];
    return region !== undefined && (region.endKey === "" || key < region.endKey) ? region : undefined;
  }

  scan(startKey: string, endKey: string, limit: number): RegionView[] {
    const found: RegionView[] = [];
    const first = this.find(startKey);
    if (first !== undefined && limit > 0) found.push(first);
    for (const [start, region] of this.#byStart.entries(startKey)) {
      if (found.length >= limit || (endKey !== "" && start >= endKey)) break;
      if (region !== first) found.push(region);
    }
    return found;
  }

  usage(storeId: number): StoreUsage {
    return this.#usage.get(storeId) ?? NO_USAGE;
  }

  findHole(): { startKey: string; endKey: string } | undefined {
    let covered = "";
    let isFirst = true;
    for (const [start, region] of this.#byStart.entries()) {
      if (start !== covered || (!isFirst && covered === "")) return { startKey: covered, endKey: start };
      covered = region.endKey;
      isFirst = false;
    }
    return isFirst || covered !== "" ? { startKey: covered, endKey: "" } : undefined;
  }

  /**
   * Takes a descriptor in. It replaces its own older one and evicts overlapping regions of a lower version; it is stale
   * if its own epoch fell or an overlapping region's version is not lower.
   */
  put(descriptor: RegionDescriptor): PutOutcome {
    const judgement = this.judge(descriptor);
    if (judgement.kind !== "newer") return judgement;
    for (const other of judgement.evicts) this.remove(other.regionId);
    const own = this.#byId.get(descriptor.regionId);
    return { kind: "stored", region: this.#replace(own, descriptor), evicted: judgement.evicts };
  }

  /** Says what {@link RegionMap.put} would do, without doing it. */
  judge(descriptor: RegionDescriptor): Judgement {
    const own = this.#byId.get(descriptor.regionId);
    if (own !== undefined) {
      if (descriptor.version < own.version || descriptor.confVer < own.confVer) return { kind: "stale", by: own };
      if (descriptor.version === own.version && descriptor.confVer === own.confVer)
        return { kind: "unchanged", region: own };
    }
    const evicts: RegionView[] = [];
    for (const other of this.#overlaps(descriptor)) {
      if (other === own) continue;
      if (other.version >= descriptor.version) return { kind: "stale", by: other };
      evicts.push(other);
    }
    return { kind: "newer", evicts };
  }

  /** Drops a region. Returns whether it was there. */
  remove(regionId: number): boolean {
    const region = this.#byId.get(regionId);
    if (region === undefined) return false;
    this.#unindex(region);
    this.#byId.delete(regionId);
    this.#byStart.delete(region.startKey);
    if (region.reportedAtMs >= 0) this.#reportedCount--;
    return true;
  }

  /** Takes in what the leader reports of a known region. */
  report(regionId: number, fields: RegionReportFields): void {
    const region = this.#byId.get(regionId);
    if (region === undefined) return;
    if (region.reportedAtMs < 0) this.#reportedCount++;
    if (
      region.leaderStoreId !== fields.leaderStoreId ||
      regionScore(region) !== Math.max(fields.approximateSize, MIN_REGION_SCORE)
    ) {
      this.#unindex(region);
      Object.assign(region, fields);
      this.#index(region);
    } else {
      Object.assign(region, fields);
    }
    if (!isJoint(region)) region.jointSinceMs = -1;
    else if (region.jointSinceMs < 0) region.jointSinceMs = fields.reportedAtMs;
  }

  *#overlaps(range: RegionDescriptor): Generator<RegionRecord> {
    const below = this.#byStart.getPairOrNextLower(range.startKey)?.[1];
    if (below !== undefined && rangesOverlap(below, range)) yield below;
    for (const [start, region] of this.#byStart.entries(range.startKey)) {
      if (range.endKey !== "" && start >= range.endKey) return;
      if (region !== below) yield region;
    }
  }

  #replace(own: RegionRecord | undefined, descriptor: RegionDescriptor): RegionRecord {
    if (own === undefined) {
      const created = newRecord(descriptor);
      this.#byId.set(created.regionId, created);
      this.#byStart.set(created.startKey, created);
      this.#index(created);
      return created;
    }
    this.#unindex(own);
    if (own.startKey !== descriptor.startKey) this.#byStart.delete(own.startKey);
    own.startKey = descriptor.startKey;
    own.endKey = descriptor.endKey;
    own.confVer = descriptor.confVer;
    own.version = descriptor.version;
    own.peers = descriptor.peers;
    if (!own.peers.some((peer) => peer.peerId === own.leaderPeerId)) {
      own.leaderPeerId = 0;
      own.leaderStoreId = 0;
    }
    this.#byStart.set(own.startKey, own);
    this.#index(own);
    return own;
  }

  #index(region: RegionRecord): void {
    const score = regionScore(region);
    for (const { storeId } of region.peers) {
      let usage = this.#usage.get(storeId);
      if (usage === undefined) {
        usage = { regionIds: new Set(), leaderRegionIds: new Set(), sizeScore: 0 };
        this.#usage.set(storeId, usage);
      }
      usage.regionIds.add(region.regionId);
      usage.sizeScore += score;
      if (storeId === region.leaderStoreId) usage.leaderRegionIds.add(region.regionId);
    }
  }

  #unindex(region: RegionRecord): void {
    const score = regionScore(region);
    for (const { storeId } of region.peers) {
      const usage = this.#usage.get(storeId);
      if (usage === undefined) continue;
      usage.regionIds.delete(region.regionId);
      usage.leaderRegionIds.delete(region.regionId);
      usage.sizeScore -= score;
      if (usage.regionIds.size === 0) this.#usage.delete(storeId);
    }
  }
}

function newRecord(descriptor: RegionDescriptor): RegionRecord {
  return {
    regionId: descriptor.regionId,
    startKey: descriptor.startKey,
    endKey: descriptor.endKey,
    confVer: descriptor.confVer,
    version: descriptor.version,
    peers: descriptor.peers,
    leaderPeerId: 0,
    leaderStoreId: 0,
    term: 0,
    downPeerIds: [],
    pendingPeerIds: [],
    caughtUpPeerIds: [],
    approximateSize: 0,
    approximateKeys: 0,
    bytesWritten: 0,
    bytesRead: 0,
    keysWritten: 0,
    keysRead: 0,
    reportedAtMs: -1,
    jointSinceMs: -1,
  };
}
