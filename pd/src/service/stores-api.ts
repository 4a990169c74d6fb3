/** Stores through the API: list, drain, cancel, remove, lost disk, leader eviction. */
import { RheaError } from "@rhea/common";
import type {
  EvictLeadersRequest,
  GetStoresRequest,
  GetStoresResponseInit,
  ReportDiskLostRequest,
  StoreInfoInit,
  StoreRequest,
  StoreResponseInit,
} from "@rhea/proto";
import { storeHealth, type Cluster, type StoreView } from "../cluster/index.js";
import type { OperationTable } from "../operations/index.js";
import { drainStatus } from "../schedule/index.js";
import { requireCluster } from "./cluster-api.js";
import type { Coordinator } from "./coordinator.js";

/** A lease without a given time lasts this long, ms; nothing may ask for more than an hour. */
const DEFAULT_LEASE_MS = 60_000;
const MAX_LEASE_MS = 3_600_000;

/** What PD knows of a store. */
function storeInfo(store: StoreView, coordinator: Coordinator): StoreInfoInit {
  const { cluster } = coordinator;
  const nowMs = coordinator.nowMs();
  const usage = cluster.regions.usage(store.storeId);
  const { drainedRatio, blocked } = drainStatus(store, cluster, nowMs);
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
  if (store.lifecycle === "tombstone")
    throw new RheaError("OPERATION_REFUSED", `store ${store.storeId} is a tombstone: it cannot drain`);
  if (store.lifecycle === "up") {
    const total = coordinator.cluster.regions.usage(store.storeId).regionIds.size;
    const drain = { total, origin: request.origin };
    await coordinator.records.saveStore({
      ...store,
      lifecycle: "draining",
      drainTotal: total,
      drainOrigin: request.origin,
    });
    coordinator.cluster.stores.setLifecycle(store.storeId, "draining", drain);
    coordinator.logger.log("info", "store drains", { storeId: store.storeId, regions: total, origin: request.origin });
    coordinator.broadcastStore(store.storeId);
    coordinator.requestPlanning();
  }
  return { store: storeInfo(store, coordinator) };
}

/** Ends a drain: nothing more leaves, what is half-way is put back by the checkers. Refused once the store is a tombstone. */
export async function cancelDrain(coordinator: Coordinator, request: StoreRequest): Promise<StoreResponseInit> {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: true });
  const store = requireStore(coordinator, request.storeId);
  if (store.lifecycle === "tombstone") {
    throw new RheaError(
      "OPERATION_REFUSED",
      `store ${store.storeId} is a tombstone: its drain has ended, start a store with a new id`,
    );
  }
  if (store.lifecycle === "draining") {
    await coordinator.records.saveStore({ ...store, lifecycle: "up", drainTotal: 0, drainOrigin: "" });
    coordinator.cluster.stores.setLifecycle(store.storeId, "up", { total: 0, origin: "" });
    coordinator.logger.log("info", "drain cancelled", { storeId: store.storeId, origin: request.origin });
    const { operations, cluster } = coordinator;
    cancelDrainOperations({ operations, cluster, nowMs: coordinator.nowMs() }, store.storeId);
    coordinator.broadcastStore(store.storeId);
    coordinator.requestPlanning();
  }
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
  if (store.lifecycle === "tombstone") return { store: storeInfo(store, coordinator) };
  const { storeId } = store;
  const { regions, settings } = coordinator.cluster;
  const left = regions.usage(storeId).regionIds.size;
  if (left > 0)
    throw new RheaError(
      "OPERATION_REFUSED",
      `store ${storeId} has peers of ${left} regions: drain it, or replace them, first`,
    );
  const hole = regions.size === 0 ? undefined : regions.findHole();
  if (hole !== undefined) {
    throw new RheaError(
      "OPERATION_REFUSED",
      `store ${storeId}: no leader has reported the range from ${JSON.stringify(hole.startKey)} yet, it may have a peer here`,
    );
  }
  const isLive = store.isConnected && storeHealth(store, coordinator.nowMs(), settings) === "up";
  if (isLive && store.lifecycle === "up" && !request.force) {
    throw new RheaError("OPERATION_REFUSED", `store ${storeId} is up: drain it, or force the removal`);
  }
  await coordinator.buryStore(store);
  return { store: storeInfo(store, coordinator) };
}

/** Marks a store as down at once: its data is gone. A later start with its identity clears it. */
export async function reportDiskLost(
  coordinator: Coordinator,
  request: ReportDiskLostRequest,
): Promise<StoreResponseInit> {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: true });
  const store = requireStore(coordinator, request.storeId);
  if (store.lifecycle !== "tombstone" && !store.diskLost) {
    const reason = `${request.origin}: ${request.reason}`;
    await coordinator.records.saveStore({ ...store, diskLost: true, diskLostReason: reason });
    coordinator.cluster.stores.setDiskLost(store.storeId, true, reason);
    coordinator.logger.log("warn", "store has lost its disk", { storeId: store.storeId, reason });
    coordinator.broadcastStore(store.storeId);
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
