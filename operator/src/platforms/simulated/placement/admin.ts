/** PD's administration as one operator reaches it: the Admin interface over the simulated PD, with delays and faults. */
import { RheaError } from "@rhea/common";
import {
  PeerRole,
  StepKind,
  StoreState,
  type ClusterConfig,
  type Operation,
  type OperationStep,
  type StoreInfo,
} from "@rhea/proto";
import type { PdCalls } from "../../kubernetes/index.js";
import type { Random } from "../world/random.js";
import type { ProcessTime, VirtualTime } from "../world/virtual-time.js";
import { hasMajority, type SimOperation, type SimRegion, type SimStep, type SimStore } from "./model.js";
import type { Placement } from "./placement.js";
import { addOperation, moveSteps, targetFor } from "./schedule.js";

/** What can go wrong on the way to PD. */
export interface PdFaults {
  latencyMs: readonly [number, number];
  /** Probability that a call fails; half of these after it took effect. */
  failureRate: number;
  isPartitioned: boolean;
}

/** What the calls are made with. */
export interface AdminSetting {
  readonly placement: Placement;
  readonly time: VirtualTime;
  readonly random: Random;
  readonly process: ProcessTime;
  readonly faults: PdFaults;
  /** Hears of every call that changes something, before it is sent and after it took effect; may kill the process there and then. */
  readonly onCall?: (what: string, stage: "before" | "after") => void;
}

const NOTHING = new Uint8Array();

/** Makes the calls. */
export function createSimulatedAdmin(setting: AdminSetting): PdCalls {
  const { placement, time, random, process, faults, onCall } = setting;
  const { pd } = placement;

  function call<R>(what: string, isChange: boolean, timeoutMs: number | undefined, act: () => R): Promise<R> {
    if (isChange && process.isAlive) onCall?.(what, "before");
    const latency = (): number => random.between(faults.latencyMs[0], faults.latencyMs[1]);
    return new Promise<R>((resolve, reject) => {
      if (!process.isAlive) return;
      const answer = (settle: () => void, delayMs = latency()): void =>
        void time.plan(delayMs, () => {
          if (process.isAlive) settle();
        });
      const limitMs = timeoutMs ?? 5_000;
      const fails = faults.failureRate > 0 && random.chance(faults.failureRate);
      const broken = new RheaError("UNAVAILABLE", `PD ${what}: the connection broke`);
      if (faults.isPartitioned || (fails && random.chance(0.5))) {
        answer(() => reject(broken), random.between(5, limitMs));
        return;
      }
      time.plan(latency(), () => {
        if (!pd.isServing) {
          answer(() => reject(new RheaError("DEADLINE_EXCEEDED", `PD ${what}: no leader in ${limitMs} ms`)), limitMs);
          return;
        }
        try {
          const result = act();
          if (isChange && process.isAlive) onCall?.(what, "after");
          answer(fails ? () => reject(broken) : () => resolve(result));
        } catch (thrown) {
          const error = thrown as Error;
          answer(() => reject(error));
        }
      });
    });
  }

  const requireStore = (storeId: number): SimStore => {
    const store = placement.stores.get(storeId);
    if (store === undefined) throw new RheaError("NOT_FOUND", `store ${storeId} is unknown`);
    return store;
  };
  const refuse = (why: string): never => {
    throw new RheaError("OPERATION_REFUSED", why);
  };
  const change = (what: string, storeId: number, timeoutMs: number | undefined, act: (store: SimStore) => void) =>
    call(`${what} ${storeId}`, true, timeoutMs, () => {
      const store = requireStore(storeId);
      act(store);
      return storeInfo(placement, store);
    });

  return {
    close: () => undefined,
    clusterInfo: (options) =>
      call("clusterInfo", false, options?.timeoutMs, () => ({
        clusterId: 1,
        bootstrapped: placement.regions.size > 0,
        featureLevel: 1,
        members: memberInfos(placement).map(({ isLeader, isVoter, isHealthy, ...rest }) => ({
          ...rest,
          ...{ leader: isLeader, voter: isVoter, healthy: isHealthy, incarnation: 1 },
        })),
        config: configOf(placement),
        version: "0.1.0",
      })),
    members: (options) => call("members", false, options?.timeoutMs, () => memberInfos(placement)),
    stores: (options) =>
      call("stores", false, options?.timeoutMs, () =>
        [...placement.stores.values()]
          .filter(({ lifecycle }) => options?.includeTombstones === true || lifecycle !== "tombstone")
          .map((store) => storeInfo(placement, store)),
      ),
    regions: (options) =>
      call("regions", false, options?.timeoutMs, () => {
        if (placement.regions.size === 0) throw new RheaError("NOT_BOOTSTRAPPED", "the cluster has no region yet");
        return regionsOf(placement);
      }),
    operations: (options) =>
      call("operations", false, options?.timeoutMs, () =>
        placement.operations
          .filter(({ state }) => state === "running" || options?.includeFinished === true)
          .map((operation) => operationOf(placement, operation)),
      ),
    setClusterConfig: (config, options) =>
      call("setClusterConfig", true, options?.timeoutMs, () => {
        const now = placement.config;
        placement.config = {
          replicas: config.replicas ?? now.replicas,
          repair: config.repair ?? now.repair,
          regionMaxBytes: config.regionMaxBytes ?? now.regionMaxBytes,
          regionMaxKeys: config.regionMaxKeys ?? now.regionMaxKeys,
          operationLimit: config.operationLimit ?? now.operationLimit,
          logLevel: config.logLevel ?? now.logLevel,
        };
        return configOf(placement);
      }),
    drainStore: (storeId, options) =>
      change("drain", storeId, options?.timeoutMs, (store) => {
        if (store.lifecycle === "tombstone") refuse(`store ${storeId} is a tombstone: it cannot drain`);
        if (store.lifecycle === "draining") return;
        store.lifecycle = "draining";
        store.drainOrigin = options?.origin ?? "user";
        store.drainTotal = placement.peersOn(storeId);
      }),
    cancelDrain: (storeId, options) =>
      change("cancelDrain", storeId, options?.timeoutMs, (store) => {
        if (store.lifecycle === "tombstone") refuse(`store ${storeId} is a tombstone: its drain has ended`);
        store.lifecycle = "up";
        store.drainOrigin = "";
        for (const operation of placement.operations) {
          if (operation.state !== "running" || operation.kind !== "drain-region") continue;
          if (!operation.steps.some((step) => step.kind === "remove" && step.storeId === storeId)) continue;
          operation.state = "cancelled";
          operation.finishedMs = placement.nowMs;
        }
      }),
    removeStore: (storeId, options) =>
      change("remove", storeId, options?.timeoutMs, (store) => {
        if (store.lifecycle === "tombstone") return;
        const left = placement.peersOn(storeId);
        if (left > 0) refuse(`store ${storeId} has peers of ${left} regions: drain it, or replace them, first`);
        const isUp = placement.seemsLive(store) && store.lifecycle === "up";
        if (isUp && options?.force !== true) refuse(`store ${storeId} is up: drain it, or force the removal`);
        store.lifecycle = "tombstone";
      }),
    reportDiskLost: (storeId, options) =>
      change("reportDiskLost", storeId, options.timeoutMs, (store) => {
        if (store.lifecycle !== "tombstone") store.diskLost = true;
      }),
    evictLeaders: (storeId, options) =>
      change("evictLeaders", storeId, options?.timeoutMs, (store) => {
        if (store.lifecycle === "tombstone") refuse(`store ${storeId} is a tombstone`);
        store.evictUntilMs = options?.release === true ? 0 : placement.nowMs + (options?.ttlMs ?? 60_000);
      }),
    releaseLeaders: (storeId, options) =>
      change("releaseLeaders", storeId, options?.timeoutMs, (store) => {
        store.evictUntilMs = 0;
      }),
    setStoreLabels: (storeId, labels, options) =>
      change("setStoreLabels", storeId, options?.timeoutMs, (store) => {
        if (store.lifecycle === "tombstone") refuse(`store ${storeId} is a tombstone`);
        store.labels = { ...store.labels, ...labels };
      }),
    removeMember: (name, options) =>
      call(`removeMember ${name}`, true, options?.timeoutMs, () => {
        const member = pd.members.get(name);
        if (member === undefined) return;
        const rest = [...pd.members.values()].filter((each) => each.isVoter && each !== member);
        const live = rest.filter(({ isHealthy }) => isHealthy).length;
        if (rest.length === 0 || (member.isVoter && live * 2 <= rest.length)) {
          refuse(`PD member ${name} stays: ${live} of the ${rest.length} other voters are healthy`);
        }
        pd.remove(name);
      }),
    transferPdLeader: (name, options) =>
      call(`transferPdLeader ${name}`, true, options?.timeoutMs, () => {
        const member = pd.members.get(name);
        if (member === undefined) throw new RheaError("NOT_FOUND", `PD has no member ${name}`);
        if (!member.isVoter || !member.isHealthy) refuse(`PD member ${name} cannot lead`);
        pd.lead(name);
      }),
    addOperation: (request, options) =>
      call(`${request.kind} ${request.regionId}`, true, options?.timeoutMs, () => {
        const region = placement.regions.get(request.regionId);
        if (region === undefined) throw new RheaError("NOT_FOUND", `region ${request.regionId} is unknown to PD`);
        return replacePeer(placement, region, request.fromStoreId ?? 0, request.storeId ?? 0, request.reason ?? "");
      }),
  };
}

function replacePeer(placement: Placement, region: SimRegion, from: number, wanted: number, reason: string) {
  const what = `region ${region.regionId}`;
  const same = placement.operations.find(
    ({ state, regionId, kind, steps }) =>
      state === "running" &&
      regionId === region.regionId &&
      kind === "replace-peer" &&
      steps.some((step) => step.storeId === from),
  );
  if (same !== undefined) return { operation: operationOf(placement, same), alreadyDone: false };
  if (!region.peers.some(({ storeId }) => storeId === from)) return { operation: null, alreadyDone: true };
  if (!hasMajority(region, (storeId) => placement.seemsLive(placement.stores.get(storeId)))) {
    throw new RheaError("OPERATION_REFUSED", `${what}: no live majority`);
  }
  const hasSurplus = region.peers.filter(({ isVoter }) => isVoter).length > placement.config.replicas;
  const target = wanted === 0 ? targetFor(placement, region) : placement.stores.get(wanted);
  const present = region.peers.find(({ storeId }) => storeId === target?.storeId);
  if (!hasSurplus) {
    if (target === undefined || target.lifecycle !== "up" || !placement.seemsLive(target)) {
      throw new RheaError("OPERATION_REFUSED", `${what}: store ${wanted} can take no peer`);
    }
    if (present?.isVoter === true)
      throw new RheaError("OPERATION_REFUSED", `${what}: store ${wanted} has a voter of it already`);
  }
  const steps = hasSurplus ? moveSteps(0, from).slice(2) : moveSteps(target?.storeId ?? 0, from);
  const operation = addOperation(placement, region, { kind: "replace-peer", origin: "operator", reason, steps });
  if (operation === undefined)
    throw new RheaError("CONF_CHANGE_BUSY", `${what}: another operation runs: wait for it or cancel it`);
  return { operation: operationOf(placement, operation), alreadyDone: false };
}

function memberInfos({ pd }: Placement) {
  return [...pd.members.values()].map(({ memberId, name, isVoter, isHealthy }) => ({
    ...{ memberId, name, isVoter, isHealthy, isLeader: pd.leader === name, address: `${name}:7400` },
    ...{ state: isVoter ? ("member" as const) : ("joining" as const), version: "0.1.0", featureLevel: 1 },
  }));
}

function configOf({ config }: Placement): ClusterConfig {
  return {
    ...config,
    ...{ maxDownTimeMs: 1_800_000, disconnectedAfterMs: 20_000, schedulingPaused: false },
    ...{ leaderBalanceLimit: 4, regionBalanceLimit: 4 },
  };
}

function stateOf(placement: Placement, store: SimStore): StoreState {
  if (store.lifecycle === "tombstone") return StoreState.STORE_TOMBSTONE;
  if (store.lifecycle === "draining") return StoreState.STORE_DRAINING;
  const ageMs = placement.heartbeatAgeMs(store);
  if (store.diskLost || ageMs > 1_800_000) return StoreState.STORE_DOWN;
  return ageMs > 20_000 ? StoreState.STORE_DISCONNECTED : StoreState.STORE_UP;
}

function storeInfo(placement: Placement, store: SimStore): StoreInfo {
  const { storeId, name } = store;
  const left = placement.peersOn(storeId);
  const isDraining = store.lifecycle === "draining";
  const info = {
    store: {
      ...{
        storeId,
        name,
        address: `${name}:7410`,
        statusAddress: "",
        uuid: NOTHING,
        incarnation: 1,
        bootNonce: NOTHING,
      },
      ...{
        state: stateOf(placement, store),
        labels: store.labels ?? {},
        version: "0.1.0",
        featureLevel: 1,
        raftAddress: "",
      },
    },
    stats: null,
    lastHeartbeatMsAgo: placement.heartbeatAgeMs(store),
    regionCount: left,
    leaderCount: [...placement.regions.values()].filter(({ leaderStoreId }) => leaderStoreId === storeId).length,
    pendingPeerCount: [...placement.regions.values()].filter(({ peers }) =>
      peers.some((peer) => peer.storeId === storeId && !peer.isVoter),
    ).length,
    drainedRatio:
      store.lifecycle === "tombstone"
        ? 1
        : !isDraining
          ? 0
          : left === 0
            ? 1
            : Math.max(0, 1 - left / Math.max(store.drainTotal, left)),
    drainBlocked: "",
    drainTotal: store.drainTotal,
    diskLost: store.diskLost,
    evictLeadersMsLeft: Math.max(0, Math.round(store.evictUntilMs - placement.nowMs)),
    connected: placement.isAlive(storeId),
    drainOrigin: store.drainOrigin,
  };
  return info;
}

function regionsOf(placement: Placement) {
  const routes = [];
  const health = [];
  for (const region of placement.regions.values()) {
    const seemsLive = (storeId: number): boolean => placement.seemsLive(placement.stores.get(storeId));
    const peers = region.peers.map(({ peerId, storeId, isVoter }) => ({
      peerId,
      storeId,
      role: isVoter ? PeerRole.VOTER : PeerRole.LEARNER,
    }));
    const down = region.peers.filter(({ storeId }) => !seemsLive(storeId)).map(({ peerId }) => peerId);
    const pending = region.peers.filter(({ isVoter }) => !isVoter).map(({ peerId }) => peerId);
    const voters = region.peers.filter(({ isVoter }) => isVoter).length;
    routes.push({
      region: {
        ...{ regionId: region.regionId, startKey: NOTHING, endKey: NOTHING, peers },
        epoch: { confVer: region.confVer, version: 1 },
      },
      leader: peers.find(({ storeId }) => storeId === region.leaderStoreId) ?? null,
    });
    health.push({
      ...{
        regionId: region.regionId,
        downPeerIds: down,
        pendingPeerIds: pending,
        approximateSize: 0,
        approximateKeys: 0,
      },
      reportedMsAgo: Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, placement.nowMs - region.reportedMs)),
      hasQuorum: region.leaderStoreId !== 0 && hasMajority(region, seemsLive),
      fullyReplicated: voters === placement.config.replicas && down.length === 0 && pending.length === 0,
    });
  }
  return { routes, health, stores: [] };
}

function operationOf({ nowMs }: Placement, operation: SimOperation): Operation {
  const { operationId, regionId, kind, origin, reason, state, step, steps, startedMs, finishedMs } = operation;
  return {
    ...{
      operationId,
      regionId,
      kind,
      origin,
      reason,
      state,
      steps: steps.map(stepOf),
      currentStep: step,
      ageMs: nowMs - startedMs,
    },
    ...{ finishedMsAgo: state === "running" ? 0 : nowMs - finishedMs, message: "", epoch: null },
  };
}

const STEP_KINDS = { add: StepKind.ADD_LEARNER, promote: StepKind.PROMOTE, remove: StepKind.REMOVE_PEER } as const;

function stepOf({ kind, storeId }: SimStep, stepIndex: number): OperationStep {
  return {
    ...{ operationId: 0, stepIndex, regionId: 0, epoch: null, kind: STEP_KINDS[kind] },
    peer: { peerId: 0, storeId, role: PeerRole.VOTER },
    ...{ splitKey: NOTHING, childRegionId: 0, childPeerIds: [] },
  };
}
