/** Stores through the API: list, drain, cancel, remove, lost disk, leader eviction, labels. */
import { RheaError } from "@rhea/common";
import type {
  EvictLeadersRequest,
  GetStoresRequest,
  GetStoresResponseInit,
  ReportDiskLostRequest,
  SetStoreLabelsRequest,
  StoreInfoInit,
  StoreRequest,
  StoreResponseInit,
} from "@rhea/proto";
import { isLiveStore, type Cluster, type StoreView } from "../cluster/index.js";
import type { OperationTable } from "../operations/index.js";
import { drainStatus } from "../schedule/index.js";
import { requireCluster } from "./cluster-api.js";
import type { Coordinator } from "./coordinator.js";

/** A lease without a given time lasts this long, ms; nothing may ask for more than an hour. */
const DEFAULT_LEASE_MS = 60_000;
const MAX_LEASE_MS = 3_600_000;

/** What PD knows of a store. */
function storeInfo(store: StoreView, coordinator: Coordinator): StoreInfoInit {
  const { cluster, operations } = coordinator;
  const nowMs = coordinator.nowMs();
  const usage = cluster.regions.usage(store.storeId);
  const { drainedRatio, blocked } = drainStatus(store, cluster, operations.mayGainPeer(store.storeId, nowMs), nowMs);
  return {
    store: coordinator.storeForWire(store),
    stats: store.stats ?? null,
    lastHeartbeatMsAgo: Math.max(0, Math.round(nowMs - store.lastHeartbeatMs)),
    regionCount: usage.regionIds.size,
    leaderCount: usage.leaderRegionIds.size,
    pendingPeerCount: countPending(store.storeId, coordinator),
    drainedRatio,
    drainBlocked: blocked,
    drainTotal: store.drainTotal,
    drainOrigin: store.drainOrigin,
    diskLost: store.diskLost,
    evictLeadersMsLeft: Math.max(0, Math.round(store.evictLeadersUntilMs - nowMs)),
    connected: store.isConnected,
  };
}

function countPending(storeId: number, { cluster }: Coordinator): number {
  let count = 0;
  for (const regionId of cluster.regions.usage(storeId).regionIds) {
    const region = cluster.regions.get(regionId);
    if (region === undefined || region.pendingPeerIds.length === 0) continue;
    const peer = region.peers.find((candidate) => candidate.storeId === storeId);
    if (peer !== undefined && region.pendingPeerIds.includes(peer.peerId)) count++;
  }
  return count;
}

/** Lists the stores by id. */
export function getStores(coordinator: Coordinator, request: GetStoresRequest): GetStoresResponseInit {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: true });
  const stores = coordinator.cluster.stores.all();
  const wanted = request.includeTombstones ? stores : stores.filter((store) => store.lifecycle !== "tombstone");
  return { stores: wanted.map((store) => storeInfo(store, coordinator)) };
}

function requireStore(coordinator: Coordinator, storeId: number): StoreView {
  const store = coordinator.cluster.stores.get(storeId);
  if (store === undefined) throw new RheaError("NOT_FOUND", `store ${storeId} is unknown`);
  return store;
}

/** Begins to empty a store; it becomes a tombstone by itself. Repeating it changes nothing. */
export async function drainStore(coordinator: Coordinator, request: StoreRequest): Promise<StoreResponseInit> {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: true });
  const store = requireStore(coordinator, request.storeId);
  const { storeId } = store;
  const { origin } = request;
  await coordinator.changeStore(storeId, ({ lifecycle }) => {
    if (lifecycle === "tombstone")
      throw new RheaError("OPERATION_REFUSED", `store ${storeId} is a tombstone: it cannot drain`);
    if (lifecycle === "draining") return undefined;
    const drainTotal = coordinator.cluster.regions.usage(storeId).regionIds.size;
    coordinator.logger.log("info", "store is to drain", { storeId, regions: drainTotal, origin });
    return { lifecycle: "draining", drainTotal, drainOrigin: origin };
  });
  coordinator.broadcastStore(storeId);
  coordinator.requestPlanning();
  return { store: storeInfo(store, coordinator) };
}

/** Ends a drain: nothing more leaves, what is half-way is put back by the checkers. Refused once the store is a tombstone. */
export async function cancelDrain(coordinator: Coordinator, request: StoreRequest): Promise<StoreResponseInit> {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: true });
  const store = requireStore(coordinator, request.storeId);
  const { storeId } = store;
  await coordinator.changeStore(storeId, ({ lifecycle }) => {
    if (lifecycle === "tombstone") {
      throw new RheaError(
        "OPERATION_REFUSED",
        `store ${storeId} is a tombstone: its drain has ended, start a store with a new id`,
      );
    }
    if (lifecycle === "up") return undefined;
    coordinator.logger.log("info", "drain is cancelled", { storeId, origin: request.origin });
    return { lifecycle: "up", drainTotal: 0, drainOrigin: "" };
  });
  const { operations, cluster } = coordinator;
  cancelDrainOperations({ operations, cluster, nowMs: coordinator.nowMs() }, storeId);
  coordinator.broadcastStore(storeId);
  coordinator.requestPlanning();
  return { store: storeInfo(store, coordinator) };
}

/** Ends the drain's own operations that would still take a peer or the leadership from the store. */
function cancelDrainOperations(
  { operations, cluster, nowMs }: { operations: OperationTable; cluster: Cluster; nowMs: number },
  storeId: number,
): void {
  for (const operation of [...operations.running()]) {
    if (operation.kind !== "drain-leader" && operation.kind !== "drain-region") continue;
    const region = cluster.regions.get(operation.regionId);
    const takesPeer = operation.steps.some((step) => step.kind === "removePeer" && step.storeId === storeId);
    const takesLeader = operation.kind === "drain-leader" && region?.leaderStoreId === storeId;
    if (takesPeer || takesLeader)
      operations.cancel(operation.operationId, `the drain of store ${storeId} was cancelled`, nowMs);
  }
}

/** Makes a store without regions a tombstone. One that is not down needs `force`: its process is told to stop. */
export async function removeStore(coordinator: Coordinator, request: StoreRequest): Promise<StoreResponseInit> {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: true });
  const store = requireStore(coordinator, request.storeId);
  await coordinator.buryStore(store.storeId, (now) => {
    if (now.lifecycle === "tombstone") return false;
    requireEmpty(now.storeId, coordinator);
    const isLive = isLiveStore(now, coordinator.nowMs(), coordinator.cluster.settings);
    if (isLive && now.lifecycle === "up" && !request.force)
      throw new RheaError("OPERATION_REFUSED", `store ${now.storeId} is up: drain it, or force the removal`);
    return true;
  });
  return { store: storeInfo(store, coordinator) };
}

function requireEmpty(storeId: number, coordinator: Coordinator): void {
  const left = coordinator.cluster.regions.usage(storeId).regionIds.size;
  const doubt = coordinator.doubtOfEmptiness(storeId);
  if (left === 0 && doubt === "") return;
  const why = left > 0 ? `has peers of ${left} regions: drain it, or replace them, first` : `cannot go yet: ${doubt}`;
  throw new RheaError("OPERATION_REFUSED", `store ${storeId} ${why}`);
}

/** Marks a store as down at once: its data is gone. A later start with its identity clears it. */
export async function reportDiskLost(
  coordinator: Coordinator,
  request: ReportDiskLostRequest,
): Promise<StoreResponseInit> {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: true });
  const store = requireStore(coordinator, request.storeId);
  const { storeId } = store;
  const diskLostReason = `${request.origin}: ${request.reason}`;
  await coordinator.changeStore(storeId, ({ lifecycle, diskLost }) => {
    if (lifecycle === "tombstone" || diskLost) return undefined;
    coordinator.logger.log("warn", "store has lost its disk", { storeId, reason: diskLostReason });
    return { diskLost: true, diskLostReason };
  });
  coordinator.broadcastStore(storeId);
  coordinator.requestPlanning();
  return { store: storeInfo(store, coordinator) };
}

/**
 * Lays labels over those that a store registers with: what is set here wins, and stays over its restarts. An empty value takes a label
 * that was set before away again. Labels that are not named stay as they are.
 */
export async function setStoreLabels(
  coordinator: Coordinator,
  request: SetStoreLabelsRequest,
): Promise<StoreResponseInit> {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: true });
  const store = requireStore(coordinator, request.storeId);
  const { storeId } = store;
  const { labels, origin } = request;
  if ("" in labels) throw new RheaError("INVALID_ARGUMENT", `SetStoreLabels: store ${storeId}: a label has no name`);
  const before = store.setLabels;
  await coordinator.changeStore(storeId, ({ lifecycle, setLabels }) => {
    if (lifecycle === "tombstone") throw new RheaError("OPERATION_REFUSED", `store ${storeId} is a tombstone`);
    const wanted = Object.entries({ ...setLabels, ...labels }).filter(([, value]) => value !== "");
    const hasChanged =
      wanted.length !== Object.keys(setLabels).length || wanted.some(([name, value]) => setLabels[name] !== value);
    if (!hasChanged) return undefined;
    const change = Object.fromEntries(wanted);
    coordinator.logger.log("info", "labels of a store are set", { storeId, labels: JSON.stringify(change), origin });
    return { setLabels: change };
  });
  if (store.setLabels !== before) {
    coordinator.broadcastStore(storeId);
    coordinator.requestPlanning();
  }
  return { store: storeInfo(store, coordinator) };
}

/** Lets leaders leave a store for as long as the lease is renewed. Not persisted: a new PD leader forgets it. */
export function evictLeaders(coordinator: Coordinator, request: EvictLeadersRequest): StoreResponseInit {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: true });
  const store = requireStore(coordinator, request.storeId);
  if (store.lifecycle === "tombstone")
    throw new RheaError("OPERATION_REFUSED", `store ${store.storeId} is a tombstone`);
  const ttlMs = request.ttlMs === 0 ? DEFAULT_LEASE_MS : request.ttlMs;
  if (ttlMs > MAX_LEASE_MS)
    throw new RheaError("INVALID_ARGUMENT", `EvictLeaders: a lease of ${ttlMs} ms, ${MAX_LEASE_MS} allowed`);
  coordinator.cluster.stores.setEvictLeaders(store.storeId, request.release ? 0 : coordinator.nowMs() + ttlMs);
  coordinator.requestPlanning();
  return { store: storeInfo(store, coordinator) };
}
