import type { Admin } from "@rhea/client";
import {
  PeerRole,
  StepKind,
  StoreState,
  type Operation,
  type RegionHealth,
  type RegionRoute,
  type StoreInfo,
} from "@rhea/proto";
import type { PdOperation, PdRegion, PdStore, PdView } from "../plan/index.js";

/** How many finished operations are asked for: enough to see the failures of the last seconds. */
const OPERATIONS = 200;

/** Regions asked for at once: PD gives no more. */
const REGION_PAGE = 10_000;

/** The calls that a view is read with. */
export type PdReads = Pick<Admin, "clusterInfo" | "stores" | "regions" | "operations">;

/** Reads all that the plan wants to know from PD. `ageMs` is 0: the caller adds what passes. */
export async function readPdView(admin: PdReads, timeoutMs: number): Promise<PdView> {
  const options = { timeoutMs };
  const info = await admin.clusterInfo(options);
  const [stores, regions, operations] = await Promise.all([
    admin.stores({ ...options, includeTombstones: true }),
    info.bootstrapped ? readRegions(admin, timeoutMs) : { routes: [], health: [] }, // there is none to wait for
    admin.operations({ ...options, includeFinished: true, limit: OPERATIONS }),
  ]);
  const health = new Map(regions.health.map((entry) => [entry.regionId, entry]));
  return {
    ageMs: 0,
    isBootstrapped: info.bootstrapped,
    members: info.members.map(({ memberId, name, leader, voter, healthy }) => ({
      ...{ memberId, name, isLeader: leader, isVoter: voter, isHealthy: healthy },
    })),
    config: {
      replicas: info.config?.replicas ?? 0,
      repair: info.config?.repair ?? "",
      regionMaxBytes: info.config?.regionMaxBytes ?? 0,
      regionMaxKeys: info.config?.regionMaxKeys ?? 0,
      operationLimit: info.config?.operationLimit ?? 0,
      logLevel: info.config?.logLevel ?? "",
    },
    stores: stores.map(toStore),
    regions: regions.routes.map((route) => toRegion(route, health)),
    operations: operations.map(toOperation),
  };
}

async function readRegions(
  admin: PdReads,
  timeoutMs: number,
): Promise<{ readonly routes: RegionRoute[]; readonly health: RegionHealth[] }> {
  const routes: RegionRoute[] = [];
  const health: RegionHealth[] = [];
  let startKey: Uint8Array | undefined;
  for (;;) {
    const page = await admin.regions({ timeoutMs, withHealth: true, startKey, limit: REGION_PAGE });
    routes.push(...page.routes);
    health.push(...page.health);
    startKey = page.routes.at(-1)?.region?.endKey;
    if (page.routes.length < REGION_PAGE || startKey === undefined || startKey.length === 0) return { routes, health };
  }
}

function toStore(info: StoreInfo): PdStore {
  return {
    storeId: info.store?.storeId ?? 0,
    name: info.store?.name ?? "",
    state: stateOf(info.store?.state ?? StoreState.STORE_UP),
    heartbeatMsAgo: info.lastHeartbeatMsAgo,
    isConnected: info.connected,
    regionCount: info.regionCount,
    leaderCount: info.leaderCount,
    pendingPeerCount: info.pendingPeerCount,
    drainedRatio: info.drainedRatio,
    drainBlocked: info.drainBlocked,
    diskLost: info.diskLost,
    usedBytes: info.stats?.usedSize ?? 0,
    evictLeadersMsLeft: info.evictLeadersMsLeft,
    drainOrigin: info.drainOrigin,
    labels: { ...info.store?.labels },
  };
}

function stateOf(state: StoreState): PdStore["state"] {
  switch (state) {
    case StoreState.STORE_UP:
      return "up";
    case StoreState.STORE_DISCONNECTED:
      return "disconnected";
    case StoreState.STORE_DOWN:
      return "down";
    case StoreState.STORE_DRAINING:
      return "draining";
    case StoreState.STORE_TOMBSTONE:
      return "tombstone";
  }
}

function toRegion({ region }: RegionRoute, healthOf: ReadonlyMap<number, RegionHealth>): PdRegion {
  const regionId = region?.regionId ?? 0;
  const health = healthOf.get(regionId);
  return {
    regionId,
    peers: (region?.peers ?? []).map(({ peerId, storeId, role }) => ({
      peerId,
      storeId,
      isVoter: role !== PeerRole.LEARNER,
    })),
    downPeerIds: health?.downPeerIds ?? [],
    reportedMsAgo: health?.reportedMsAgo ?? Number.MAX_SAFE_INTEGER,
    hasQuorum: health?.hasQuorum ?? false,
    isFullyReplicated: health?.fullyReplicated ?? false,
  };
}

function toOperation(operation: Operation): PdOperation {
  return {
    operationId: operation.operationId,
    regionId: operation.regionId,
    kind: operation.kind,
    origin: operation.origin,
    isRunning: operation.state === "running",
    succeeded: operation.state === "succeeded",
    finishedMsAgo: operation.finishedMsAgo,
    fromStoreId: operation.steps.find(({ kind }) => kind === StepKind.REMOVE_PEER)?.peer?.storeId ?? 0,
  };
}
