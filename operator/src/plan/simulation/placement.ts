/** What PD does on paper: it hears stores, moves leaders and peers a step per tick, takes in its own new members, and tells the plan. */
import type { PdOperation, PdView } from "../observed.js";
import {
  EXIT_DISK_LOST,
  end,
  hasPdQuorum,
  isLive,
  pdMembers,
  type SimCluster,
  type SimRegion,
  type SimStore,
} from "./cluster.js";

const REGIONS = 4;

/** Lets PD work for a second, if it has a quorum. */
export function schedule(cluster: SimCluster): void {
  for (const region of cluster.regions) elect(cluster, region);
  if (!hasPdQuorum(cluster)) return;
  for (const pd of cluster.pds) {
    if (!isLive(pd)) continue;
    if (pd.membership === "removed") end(cluster, pd, EXIT_DISK_LOST);
    if (pd.membership === "learner") pd.membership = "voter";
    if (pd.membership === "none") pd.membership = "learner";
    if (pd.membership === "voter") pd.isInitialised = true;
  }
  for (const store of cluster.stores) {
    if (!isLive(store)) continue;
    if (store.lifecycle === "tombstone") {
      end(cluster, store, EXIT_DISK_LOST);
      continue;
    }
    Object.assign(store, { isRegistered: true, isInitialised: true, heartbeatMs: cluster.nowMs });
  }
  bootstrap(cluster);
  for (const region of cluster.regions) move(cluster, region);
}

/** Live voters of a region. */
export function liveVoters(cluster: SimCluster, { voters }: SimRegion): readonly SimStore[] {
  return cluster.stores.filter((store) => voters.has(store.storeId) && isLive(store));
}

/** Whether a region can commit. */
export function hasQuorum(cluster: SimCluster, region: SimRegion): boolean {
  return countLive(cluster, region) * 2 > region.voters.size;
}

function countLive({ stores }: SimCluster, { voters }: SimRegion): number {
  let count = 0;
  for (const store of stores) if (voters.has(store.storeId) && isLive(store)) count++;
  return count;
}

/** Whether every region has all its voters, and all live. */
export function isHealthy(cluster: SimCluster): boolean {
  return cluster.regions.every((region) => isWhole(cluster, region));
}

function isWhole(cluster: SimCluster, region: SimRegion): boolean {
  return region.voters.size === cluster.config.replicas && countLive(cluster, region) === region.voters.size;
}

/** What PD answers now. */
export function viewOf(cluster: SimCluster): PdView {
  const { nowMs, regions, stores } = cluster;
  const peers = (storeId: number) => regions.filter(({ voters }) => voters.has(storeId)).length;
  return {
    ageMs: 0,
    isBootstrapped: regions.length > 0,
    members: pdMembers(cluster),
    config: { ...cluster.config },
    stores: stores
      .filter(({ isRegistered }) => isRegistered)
      .map((store) => ({
        ...{ storeId: store.storeId, name: store.name, heartbeatMsAgo: nowMs - store.heartbeatMs },
        isConnected: isLive(store),
        state: store.lifecycle === "up" && nowMs - store.heartbeatMs > 20_000 ? "disconnected" : store.lifecycle,
        ...{ regionCount: peers(store.storeId), pendingPeerCount: 0, drainBlocked: "", usedBytes: 0 },
        leaderCount: regions.filter(({ leader }) => leader === store.storeId).length,
        ...{ drainedRatio: peers(store.storeId) === 0 ? 1 : 0, diskLost: store.isDiskLostKnown },
        ...{ evictLeadersMsLeft: Math.max(0, store.leaseUntilMs - nowMs), drainOrigin: store.drainOrigin, labels: {} },
      })),
    regions: regions.map((region) => ({
      regionId: region.regionId,
      peers: [...region.voters].map((storeId) => ({
        ...{ peerId: region.regionId * 1000 + storeId, storeId, isVoter: true },
      })),
      downPeerIds: [...region.voters]
        .filter((id) => stores.some((store) => store.storeId === id && !isLive(store)))
        .map((id) => region.regionId * 1000 + id),
      reportedMsAgo: 0,
      hasQuorum: hasQuorum(cluster, region),
      isFullyReplicated: isWhole(cluster, region),
    })),
    operations: [...cluster.operations].map(([regionId, operation]): PdOperation => ({
      ...{ operationId: regionId, regionId, kind: "replace-peer", origin: "operator" },
      ...{ isRunning: true, succeeded: false, finishedMsAgo: 0 },
      fromStoreId: operation.from,
    })),
  };
}

function bootstrap({ regions, stores, nowMs }: SimCluster): void {
  const first = stores.find(({ heartbeatMs }) => heartbeatMs === nowMs);
  if (regions.length > 0 || first === undefined) return;
  for (let regionId = 1; regionId <= REGIONS; regionId++) {
    regions.push({ regionId, voters: new Set([first.storeId]), leader: first.storeId });
  }
}

function elect(cluster: SimCluster, region: SimRegion): void {
  if (!hasQuorum(cluster, region)) {
    region.leader = undefined;
    return;
  }
  const leader = cluster.stores.find(({ storeId }) => storeId === region.leader);
  if (
    leader !== undefined &&
    leader.leaseUntilMs <= cluster.nowMs &&
    isLive(leader) &&
    region.voters.has(leader.storeId)
  )
    return;
  const live = liveVoters(cluster, region);
  const free = live.filter(({ leaseUntilMs }) => leaseUntilMs <= cluster.nowMs);
  if (!free.some(({ storeId }) => storeId === region.leader)) region.leader = (free[0] ?? live[0])?.storeId;
}

function move(cluster: SimCluster, region: SimRegion): void {
  const { operations, random, config } = cluster;
  if (!hasQuorum(cluster, region)) return; // nothing can be committed
  const operation = operations.get(region.regionId);
  if (operation !== undefined) {
    operation.left--;
    if (operation.left === 1) region.voters.add(operation.to);
    if (operation.left > 0) return;
    if (region.voters.has(operation.to)) region.voters.delete(operation.from);
    operations.delete(region.regionId);
    return;
  }
  const leaving = [...region.voters].find((id) => lifecycleOf(cluster, id) === "draining");
  if (leaving === undefined && region.voters.size === config.replicas) return;
  const free = cluster.stores.filter(
    (store) => isLive(store) && store.isRegistered && store.lifecycle === "up" && !region.voters.has(store.storeId),
  );
  const next = free[Math.floor(random() * free.length)];
  if (region.voters.size > config.replicas) region.voters.delete(leaving ?? worst(cluster, region));
  else if (next !== undefined && (region.voters.size < config.replicas || leaving !== undefined)) {
    region.voters.add(next.storeId);
  }
}

function lifecycleOf({ stores }: SimCluster, id: number): string {
  return stores.find(({ storeId }) => storeId === id)?.lifecycle ?? "";
}

function worst(cluster: SimCluster, region: SimRegion): number {
  const ids = [...region.voters];
  const live = new Set(liveVoters(cluster, region).map(({ storeId }) => storeId));
  return ids.find((id) => !live.has(id)) ?? ids[Math.floor(cluster.random() * ids.length)] ?? 0;
}
