/** Routes and splits through the API. */
import { fromLatin1, RheaError, toLatin1 } from "@rhea/common";
import type {
  AskSplitRequest,
  AskSplitResponseInit,
  EmptyInit,
  GetRegionRequest,
  GetRegionResponseInit,
  RegionRouteInit,
  ReportSplitRequest,
  ScanRegionsRequest,
  ScanRegionsResponseInit,
  StoreInit,
} from "@rhea/proto";
import { describeRegion, peerById, regionFromProto, regionToProto, type RegionView } from "../cluster/index.js";
import { requireCluster } from "./cluster-api.js";
import type { Coordinator } from "./coordinator.js";
import { regionHealth } from "./region-health.js";

const DEFAULT_SCAN = 1000;
const MAX_SCAN = 10_000;
const MAX_PREFETCH = 1000;

/** Finds a region by key or id, with up to `prefetch` that follow it. */
export function getRegion(coordinator: Coordinator, request: GetRegionRequest): GetRegionResponseInit {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: true });
  requireBootstrapped(coordinator);
  const { regions } = coordinator.cluster;
  const key = toLatin1(request.key);
  const region = request.regionId === 0 ? regions.find(key) : regions.get(request.regionId);
  if (region === undefined) {
    const what = request.regionId === 0 ? `the region of key ${JSON.stringify(key)}` : `region ${request.regionId}`;
    throw new RheaError("REGION_NOT_FOUND", `${what} is not known: no leader has reported it yet`);
  }
  const more = Math.min(request.prefetch, MAX_PREFETCH);
  const following = more === 0 || region.endKey === "" ? [] : regions.scan(region.endKey, "", more);
  return answer([region, ...following], coordinator);
}

/** Lists regions in key order. */
export function scanRegions(coordinator: Coordinator, request: ScanRegionsRequest): ScanRegionsResponseInit {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: true });
  requireBootstrapped(coordinator);
  const limit = request.limit === 0 ? DEFAULT_SCAN : Math.min(request.limit, MAX_SCAN);
  const regions = coordinator.cluster.regions.scan(toLatin1(request.startKey), toLatin1(request.endKey), limit);
  const nowMs = coordinator.nowMs();
  const health = request.withHealth ? regions.map((region) => regionHealth(region, coordinator.cluster, nowMs)) : [];
  return { ...answer(regions, coordinator), health };
}

function requireBootstrapped({ isBootstrapped, clusterId }: Coordinator): void {
  if (!isBootstrapped)
    throw new RheaError("NOT_BOOTSTRAPPED", `cluster ${clusterId} has no region yet: its first store makes one`);
}

function answer(
  regions: readonly RegionView[],
  coordinator: Coordinator,
): { routes: RegionRouteInit[]; stores: StoreInit[] } {
  const storeIds = new Set(regions.flatMap((region) => region.peers.map((peer) => peer.storeId)));
  const stores = [...storeIds].flatMap((storeId) => {
    const store = coordinator.cluster.stores.get(storeId);
    return store === undefined ? [] : [coordinator.storeForWire(store)];
  });
  const routes = regions.map((region) => ({
    region: regionToProto(region),
    leader: peerById(region, region.leaderPeerId) ?? null,
  }));
  return { routes, stores };
}

/** Gives ids for a split that a store has in mind. Throws EPOCH_NOT_MATCH with the current region if its view is not PD's. */
export async function askSplit(coordinator: Coordinator, request: AskSplitRequest): Promise<AskSplitResponseInit> {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: false });
  if (request.region === null) throw new RheaError("INVALID_ARGUMENT", "AskSplit: the region is missing");
  const asked = regionFromProto(request.region);
  const known = coordinator.cluster.regions.get(asked.regionId);
  if (known === undefined) throw new RheaError("REGION_NOT_FOUND", `region ${asked.regionId} is not known`);
  if (asked.confVer !== known.confVer || asked.version !== known.version) {
    throw new RheaError(
      "EPOCH_NOT_MATCH",
      `${describeRegion(asked)} is not PD's ${describeRegion(known)}: report the region first`,
      {
        details: { regionId: known.regionId, currentRegions: [detail(known)] },
      },
    );
  }
  const firstId = await coordinator.ids.allocate(1 + known.peers.length);
  return { childRegionId: firstId, childPeerIds: known.peers.map((_, i) => firstId + 1 + i) };
}

function detail(region: RegionView) {
  const { regionId, startKey, endKey, confVer, version, peers } = region;
  return { regionId, startKey: fromLatin1(startKey), endKey: fromLatin1(endKey), epoch: { confVer, version }, peers };
}

/** Takes in both halves of a split that happened. */
export function reportSplit(coordinator: Coordinator, request: ReportSplitRequest): EmptyInit {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: false });
  if (request.parent === null || request.child === null)
    throw new RheaError("INVALID_ARGUMENT", "ReportSplit: parent and child are needed");
  coordinator.onSplit(regionFromProto(request.parent), regionFromProto(request.child));
  return {};
}
