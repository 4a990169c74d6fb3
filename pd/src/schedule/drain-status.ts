/** How far a drain is and what it waits for. Pure. */
import { describeRegion, isLiveStore, type ClusterView, type RegionView, type StoreView } from "../cluster/index.js";

/** The state of one store's drain. */
export interface DrainStatus {
  /** 0..1; 1 when no region is left, or nothing drains. */
  readonly drainedRatio: number;
  /** Why it makes no progress; empty if it does, or nothing drains. */
  readonly blocked: string;
}

/** Counts what is left and names the obstacle, if there is one. `mayGainPeer`: see {@link emptinessDoubt}. */
export function drainStatus(store: StoreView, view: ClusterView, mayGainPeer: boolean, nowMs: number): DrainStatus {
  if (store.lifecycle !== "draining") return { drainedRatio: store.lifecycle === "tombstone" ? 1 : 0, blocked: "" };
  const left = view.regions.usage(store.storeId).regionIds.size;
  const drainedRatio = left === 0 ? 1 : Math.max(0, 1 - left / Math.max(store.drainTotal, left));
  return { drainedRatio, blocked: left === 0 ? emptinessDoubt(view, mayGainPeer) : obstacleOf(store, view, nowMs) };
}

/**
 * Why a store on which PD knows no peer may have one all the same; empty if it cannot. What this PD leader has not heard from a region's leader
 * is only as new as what an earlier PD leader wrote down. `mayGainPeer`: a step that adds a peer there is or may be under way.
 */
export function emptinessDoubt({ regions }: ClusterView, mayGainPeer: boolean): string {
  if (mayGainPeer) return "a step that adds a peer here may still be under way";
  if (regions.size === 0) return "";
  const unheard = regions.size - regions.reportedCount;
  if (unheard > 0) {
    return `${unheard} of ${regions.size} regions have not been reported since this PD leads: one may have a peer here`;
  }
  const hole = regions.findHole();
  if (hole === undefined) return "";
  const show = (key: string) => (key === "" ? "the end" : JSON.stringify(key));
  return `no leader has reported the range from ${JSON.stringify(hole.startKey)} to ${show(hole.endKey)} yet: it may have a peer here`;
}

/** What keeps a store with regions from losing them. */
function obstacleOf(store: StoreView, view: ClusterView, nowMs: number): string {
  if (view.settings.isSchedulingPaused) return "scheduling is paused";
  const live = (other: StoreView) => isLiveStore(other, nowMs, view.settings);
  const stores = view.stores.all().filter((other) => other.lifecycle === "up" && other !== store && live(other)).length;
  const { replicas } = view.settings;
  if (stores < replicas) {
    return `${stores} other live stores < ${replicas} replicas: add ${replicas - stores} or cancel the drain`;
  }
  const hasLiveLeader = ({ leaderStoreId }: RegionView) =>
    isLiveStore(view.stores.get(leaderStoreId), nowMs, view.settings);
  for (const regionId of view.regions.usage(store.storeId).regionIds) {
    const region = view.regions.get(regionId);
    if (region !== undefined && !hasLiveLeader(region)) return `${describeRegion(region)} has no live leader`;
  }
  return "";
}
