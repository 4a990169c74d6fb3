/** Where a new peer may stand and where it stands best. Pure. */
import { isEvictingLeaders, isLiveStore, type RegionView, type StoreView } from "../cluster/index.js";
import type { ScheduleContext } from "./context.js";

/** Snapshots that a store may be receiving and applying before it gets no new peer. */
const SNAPSHOT_LIMIT = 8;
/** Peers being added to one store by running operations. */
const INCOMING_LIMIT = 4;
/** A store is full below 5 % free, or 1 GiB if that is less. */
const FULL_RATIO = 0.05;
const FULL_BYTES = 1024 ** 3;

/** A store for a new peer and the numbers that chose it, or why there is none. */
export type Placement =
  | { readonly kind: "found"; readonly store: StoreView; readonly shared: number; readonly fact: string }
  | { readonly kind: "none"; readonly reason: string };

/** Why the store may get no new peer now, or undefined if it may. */
export function placementRefusal(store: StoreView, context: ScheduleContext): string | undefined {
  const { view, nowMs } = context;
  if (store.lifecycle !== "up") return store.lifecycle;
  if (!isLiveStore(store, nowMs, view.settings)) return "down or disconnected";
  const { stats } = store;
  if (stats === undefined) return "no statistics yet";
  if (stats.isBusy) return "busy";
  if (stats.drainingLeaders) return "shutting down";
  if (isFull(stats.capacity, stats.available)) return `full (${mebibytes(stats.available)} free)`;
  const snapshots = stats.receivingSnapCount + stats.applyingSnapCount;
  if (snapshots >= SNAPSHOT_LIMIT) return `${snapshots} snapshots under way`;
  const { incoming } = context.influence(store.storeId);
  return incoming >= INCOMING_LIMIT ? `${incoming} peers on their way` : undefined;
}

/** Whether leaders may be sent to the store. */
export function acceptsLeaders(store: StoreView, context: ScheduleContext): boolean {
  const { view, nowMs } = context;
  return isLiveStore(store, nowMs, view.settings) && store.stats?.isBusy !== true && !isEvictingLeaders(store, nowMs);
}

/**
 * Chooses the store for one more peer of `region`: among those that may have it and have none, the one that shares the fewest failure
 * domains with the peers that stay (all but those in `leavingPeerIds`), then the smallest.
 */
export function chooseStore(
  region: RegionView,
  leavingPeerIds: readonly number[],
  context: ScheduleContext,
): Placement {
  const staying = region.peers.filter((peer) => !leavingPeerIds.includes(peer.peerId));
  const refusals: string[] = [];
  let best: { store: StoreView; shared: number; score: number } | undefined;
  let candidates = 0;
  for (const store of context.view.stores.all()) {
    if (store.lifecycle === "tombstone" || region.peers.some((peer) => peer.storeId === store.storeId)) continue;
    const refusal = placementRefusal(store, context);
    if (refusal !== undefined) {
      refusals.push(`store ${store.storeId} is ${refusal}`);
      continue;
    }
    candidates++;
    const shared = sharedDomains(
      store,
      staying.map((peer) => peer.storeId),
      context,
    );
    const score = storeScore(store.storeId, context);
    if (best === undefined || shared < best.shared || (shared === best.shared && score < best.score)) {
      best = { store, shared, score };
    }
  }
  if (best === undefined) {
    const reason = refusals.length === 0 ? "every store has a peer of it" : refusals.join(", ");
    return { kind: "none", reason: `no store for a new peer: ${reason}` };
  }
  const { regionIds } = context.view.regions.usage(best.store.storeId);
  const facts = `${regionIds.size} regions, ${mebibytes(best.score)}, ${best.shared} shared failure domains`;
  return {
    kind: "found",
    store: best.store,
    shared: best.shared,
    fact: `store ${best.store.storeId} (${facts}; best of ${candidates})`,
  };
}

/** Size of a store as balance sees it, bytes: what it holds and what running operations will change. */
export function storeScore(storeId: number, context: ScheduleContext): number {
  return context.view.regions.usage(storeId).sizeScore + context.influence(storeId).sizeScore;
}

/**
 * How much of its failure domains the store shares with others, summed over them: per other store the labels from the widest (zone) down to
 * the first that differs, each worth ten of the next narrower one. 0: it shares nothing. A label that either store lacks tells nothing.
 */
export function sharedDomains(store: StoreView, otherStoreIds: readonly number[], context: ScheduleContext): number {
  const { stores, settings } = context.view;
  let shared = 0;
  for (const otherId of otherStoreIds) {
    const other = stores.get(otherId);
    if (other !== undefined && otherId !== store.storeId) shared += sharedBy(store, other, settings.locationLabels);
  }
  return shared;
}

function sharedBy(one: StoreView, other: StoreView, labels: readonly string[]): number {
  let shared = 0;
  for (const [level, label] of labels.entries()) {
    const [value, otherValue] = [one.labels[label], other.labels[label]];
    if (value === undefined || otherValue === undefined) continue;
    if (value !== otherValue) break;
    shared += 10 ** (labels.length - 1 - level);
  }
  return shared;
}

function isFull(capacity: number, available: number): boolean {
  return capacity > 0 && available < Math.min(capacity * FULL_RATIO, FULL_BYTES);
}

/** Formats bytes for reasons: `12.5 MiB`. */
export function mebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
