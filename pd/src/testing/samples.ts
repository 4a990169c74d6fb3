/** Small stores, regions and contexts for tests of pure decisions. */
import { PeerRole, StoreStats } from "@rhea/proto";
import {
  createCluster,
  DEFAULT_SETTINGS,
  type Cluster,
  type ClusterSettings,
  type RegionDescriptor,
} from "../cluster/index.js";
import { OperationTable } from "../operations/index.js";
import type { ScheduleContext } from "../schedule/index.js";

/** The moment at which samples are judged, ms. */
export const NOW = 1_000_000;

/** Makes a cluster with live, connected stores 1..count of 1 TB each. */
export function sampleCluster(count: number, settings: Partial<ClusterSettings> = {}): Cluster {
  const cluster = createCluster({ ...DEFAULT_SETTINGS, ...settings });
  for (let storeId = 1; storeId <= count; storeId++) addSampleStore(cluster, storeId);
  return cluster;
}

/** Adds a live store. `stats` overrides what it reports. */
export function addSampleStore(
  cluster: Cluster,
  storeId: number,
  options: { labels?: Record<string, string>; stats?: Parameters<typeof StoreStats.encode>[0] } = {},
): void {
  const identity = { storeId, name: `s${storeId}`, address: `s${storeId}:1`, statusAddress: "", raftAddress: "" };
  const process = { uuid: `u${storeId}`, incarnation: 1, bootNonce: "b", version: "", featureLevel: 1 };
  cluster.stores.putIdentity({ ...identity, ...process, labels: options.labels ?? {} }, NOW);
  const stats = { storeId, capacity: 1e12, available: 5e11, ...options.stats };
  cluster.stores.heard(storeId, StoreStats.decode(StoreStats.encode(stats).finish()), NOW);
  cluster.stores.setConnected(storeId, true);
}

/** A region's descriptor: voters on `voters`, learners on `learners`; the peer on store n has id regionId * 100 + n. */
export function sampleDescriptor(
  regionId: number,
  voters: readonly number[],
  learners: readonly number[] = [],
  range: { startKey: string; endKey: string } = { startKey: "", endKey: "" },
): RegionDescriptor {
  const peer = (role: PeerRole) => (storeId: number) => ({ peerId: regionId * 100 + storeId, storeId, role });
  const peers = [...voters.map(peer(PeerRole.VOTER)), ...learners.map(peer(PeerRole.LEARNER))];
  return { regionId, ...range, confVer: 5, version: 3, peers };
}

/** Puts a region into the cluster as reported by its first voter, all peers caught up, with `report` laid over. */
export function addSampleRegion(
  cluster: Cluster,
  descriptor: RegionDescriptor,
  report: Partial<Parameters<Cluster["regions"]["report"]>[1]> = {},
): void {
  cluster.regions.put(descriptor);
  const [leader] = descriptor.peers;
  cluster.regions.report(descriptor.regionId, {
    ...{ leaderPeerId: leader?.peerId ?? 0, leaderStoreId: leader?.storeId ?? 0, term: 6 },
    ...{ downPeerIds: [], pendingPeerIds: [], caughtUpPeerIds: descriptor.peers.map(({ peerId }) => peerId) },
    ...{ approximateSize: 0, approximateKeys: 0, bytesWritten: 0, bytesRead: 0, keysWritten: 0, keysRead: 0 },
    ...{ reportedAtMs: NOW, ...report },
  });
}

/** An operation table on the cluster with ids from 10,000 on. */
export function sampleTable(cluster: Cluster): OperationTable {
  let next = 10_000;
  return new OperationTable(
    cluster,
    (count) => (next += count) - count,
    () => undefined,
  );
}

/** A context in which nothing runs unless `operations` says so. */
export function sampleContext(cluster: Cluster, operations = sampleTable(cluster), nowMs = NOW): ScheduleContext {
  return {
    view: cluster,
    nowMs,
    influence: (storeId) => operations.influence(storeId),
    isBusy: (regionId) => operations.of(regionId) !== undefined,
    isHeldBack: (regionId, kind) => operations.isHeldBack(regionId, kind, nowMs),
    failures: (regionId, kind) => operations.failures(regionId, kind),
  };
}
