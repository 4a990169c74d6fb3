/** Cluster, bootstrap, ids and configuration through the API. */
import { RheaError } from "@rhea/common";
import type {
  AllocIdRequest,
  AllocIdResponseInit,
  BootstrapRequest,
  BootstrapResponseInit,
  PdHeader,
  PutStoreRequest,
  PutStoreResponseInit,
  SetClusterConfigRequest,
  SetClusterConfigResponseInit,
} from "@rhea/proto";
import {
  identityFromProto,
  regionFromProto,
  regionToProto,
  settingsToProto,
  type RegionDescriptor,
} from "../cluster/index.js";
import type { Coordinator } from "./coordinator.js";

/** Ids of one request at most. */
const MAX_IDS = 100_000;

/** Throws CLUSTER_MISMATCH unless the request is for this cluster. `mayBeAny`: a caller that knows no cluster yet may leave it 0. */
export function requireCluster(header: PdHeader | null, clusterId: number, options: { mayBeAny: boolean }): void {
  const named = header?.clusterId ?? 0;
  if (named === clusterId || (named === 0 && options.mayBeAny)) return;
  throw new RheaError("CLUSTER_MISMATCH", `the request is for cluster ${named}, this PD serves cluster ${clusterId}`);
}

/** Registers a store; durable when it resolves. */
export async function putStore(coordinator: Coordinator, request: PutStoreRequest): Promise<PutStoreResponseInit> {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: false });
  if (request.store === null) throw new RheaError("INVALID_ARGUMENT", "PutStore: the store is missing");
  await coordinator.putStore(identityFromProto(request.store));
  return { featureLevel: coordinator.featureLevel() };
}

/** Gives out consecutive ids, never given out before. */
export async function allocId(coordinator: Coordinator, request: AllocIdRequest): Promise<AllocIdResponseInit> {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: true });
  const count = request.count === 0 ? 1 : request.count;
  if (count > MAX_IDS) throw new RheaError("INVALID_ARGUMENT", `AllocId: ${count} ids asked for, ${MAX_IDS} allowed`);
  const firstId = await coordinator.ids.allocate(count);
  return { firstId, count, clusterId: coordinator.clusterId };
}

/** Records the first region. One caller wins; the same region may ask again after a restart and has won still. */
export async function bootstrap(
  coordinator: Coordinator,
  request: BootstrapRequest,
  wallMs: number,
): Promise<BootstrapResponseInit> {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: false });
  const { clusterId, records } = coordinator;
  const firstRegion = request.region;
  if (firstRegion === null) throw new RheaError("INVALID_ARGUMENT", "Bootstrap: the region is missing");
  const region = regionFromProto(firstRegion);
  requireFirstRegion(region, coordinator);
  const hasWon = await records.bootstrap({ clusterId, firstRegion, createdAt: wallMs });
  if (hasWon) {
    coordinator.isBootstrapped = true;
    coordinator.cluster.regions.put(region);
    coordinator.writeBehind.saveRegion(region);
    await coordinator.writeBehind.flush();
    coordinator.logger.log("info", "cluster bootstrapped", { clusterId, regionId: region.regionId });
    return { won: true, region: firstRegion };
  }
  const recorded = (await records.readBootstrap())?.firstRegion ?? null;
  const current = recorded === null ? undefined : coordinator.cluster.regions.get(recorded.regionId);
  return {
    won: recorded?.regionId === region.regionId,
    region: current === undefined ? recorded : regionToProto(current),
  };
}

function requireFirstRegion(region: RegionDescriptor, { cluster, ids }: Coordinator): void {
  const [peer] = region.peers;
  const isWhole = region.startKey === "" && region.endKey === "";
  if (!isWhole || region.peers.length !== 1 || peer === undefined) {
    throw new RheaError(
      "INVALID_ARGUMENT",
      `Bootstrap: region ${region.regionId} must hold the whole keyspace and have one peer`,
    );
  }
  if (!ids.wasGivenOut(region.regionId) || !ids.wasGivenOut(peer.peerId) || region.regionId === peer.peerId) {
    throw new RheaError(
      "INVALID_ARGUMENT",
      `Bootstrap: region ${region.regionId} and peer ${peer.peerId} need ids from AllocId`,
    );
  }
  if (cluster.stores.get(peer.storeId) === undefined) {
    throw new RheaError("NOT_FOUND", `Bootstrap: store ${peer.storeId} is not registered`);
  }
}

/** Changes settings of the cluster; answers with all that are in force. */
export async function setClusterConfig(
  coordinator: Coordinator,
  request: SetClusterConfigRequest,
): Promise<SetClusterConfigResponseInit> {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: true });
  if (request.config !== null) await coordinator.setConfig(request.config);
  return { config: settingsToProto(coordinator.cluster.settings) };
}
