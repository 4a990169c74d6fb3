/** A settled cluster of three stores for the tests of the plan, with every part replaceable. Used by tests alone. */
import type { DesiredCluster, PodDemand } from "../api/resolve.js";
import { describeStep } from "./action.js";
import type { Observed, PdMember, PdRecord, PdRegion, PdStore, PdView, ProcessState, StoreRecord } from "./observed.js";
import { plan } from "./plan.js";

/** The present of all tests, in ms. */
export const NOW = 1_000_000;

/** A process that has been running for ten minutes. */
export const RUNNING: ProcessState = { kind: "running", sinceMs: NOW - 600_000 };

/** A process that was killed half a second ago, for the first time. */
export const KILLED: ProcessState = {
  kind: "exited",
  code: null,
  signal: "SIGKILL",
  atMs: NOW - 500,
  failures: 1,
  failingSinceMs: NOW - 500,
};

/** A process whose disk is lost. */
export const DISK_LOST: ProcessState = { ...KILLED, code: 7, signal: null };

/** A process that has been failing for 400 s; its next start is due. */
export const FAILING: ProcessState = {
  kind: "exited",
  code: 1,
  signal: null,
  atMs: NOW - 60_000,
  failures: 20,
  failingSinceMs: NOW - 400_000,
};

const POD: PodDemand = {
  resources: { requests: {}, limits: {} },
  topologyKeys: ["zone", "host"],
  nodeSelector: {},
  tolerations: [],
};

/** A desired cluster of three stores. */
export function wanted(change: Partial<DesiredCluster> = {}): DesiredCluster {
  return {
    name: "demo",
    generation: 1,
    storeReplicas: 3,
    engine: "leveldb",
    storageBytes: undefined,
    imagePullPolicy: "IfNotPresent",
    imagePullSecrets: [],
    pdReplicas: 1,
    pdStorage: { size: "1Gi", sizeBytes: 2 ** 30 },
    pdPod: POD,
    storePod: POD,
    maxParallelScaleOut: 1,
    deletionPolicy: "Retain",
    tls: { isEnabled: true, leafValidMs: 90 * 86_400_000 },
    networkPolicy: { isEnabled: true },
    regionReplicas: 3,
    regionMaxBytes: 1000,
    regionMaxKeys: 100,
    deadAfterMs: 300_000,
    maxReplacements: 3,
    logLevel: "info",
    raft: { tickMs: 100, electionTicks: 8, heartbeatTicks: 2 },
    operationLimit: 4,
    mode: "Reconcile",
    suspend: false,
    ...change,
  };
}

/** The record of `demo-store-ORDINAL`, serving. */
export function record(ordinal: number, change: Partial<StoreRecord> = {}): StoreRecord {
  return {
    name: `demo-store-${ordinal}`,
    ordinal,
    initialised: true,
    drainedByOperator: false,
    wantsDrain: false,
    removeFirst: false,
    process: RUNNING,
    directory: "present",
    ...change,
  };
}

/** The record of `demo-pd-ORDINAL`, serving. */
export function pdRecord(ordinal: number, change: Partial<PdRecord> = {}): PdRecord {
  return {
    name: `demo-pd-${ordinal}`,
    ordinal,
    initialised: true,
    process: RUNNING,
    directory: "present",
    ...change,
  };
}

/** PD's entry of `demo-pd-ORDINAL`, a healthy voter. */
export function pdMember(ordinal: number, change: Partial<PdMember> = {}): PdMember {
  return {
    memberId: 1 + ordinal,
    name: `demo-pd-${ordinal}`,
    isLeader: false,
    isVoter: true,
    isHealthy: true,
    ...change,
  };
}

/** PD's entry of `demo-store-ORDINAL`, up with id 10 + ORDINAL. */
export function pdStore(ordinal: number, change: Partial<PdStore> = {}): PdStore {
  return {
    storeId: 10 + ordinal,
    name: `demo-store-${ordinal}`,
    state: "up",
    heartbeatMsAgo: 800,
    isConnected: true,
    regionCount: 2,
    leaderCount: 1,
    pendingPeerCount: 0,
    drainedRatio: 0,
    drainBlocked: "",
    diskLost: false,
    usedBytes: 0,
    evictLeadersMsLeft: 0,
    drainOrigin: change.state === "draining" ? "operator" : "",
    labels: {},
    ...change,
  };
}

/** A healthy region with voters on the stores of these ordinals. */
export function region(regionId: number, ordinals: readonly number[], change: Partial<PdRegion> = {}): PdRegion {
  return {
    regionId,
    peers: ordinals.map((ordinal) => ({ peerId: regionId * 100 + ordinal, storeId: 10 + ordinal, isVoter: true })),
    downPeerIds: [],
    reportedMsAgo: 2_000,
    hasQuorum: true,
    isFullyReplicated: true,
    ...change,
  };
}

/** PD's view of three stores and two regions. */
export function view(change: Partial<PdView> = {}): PdView {
  return {
    ageMs: 100,
    isBootstrapped: true,
    members: [pdMember(0, { isLeader: true })],
    config: {
      replicas: 3,
      repair: "operator",
      regionMaxBytes: 1000,
      regionMaxKeys: 100,
      operationLimit: 4,
      logLevel: "info",
    },
    stores: [pdStore(0), pdStore(1), pdStore(2)],
    regions: [region(5, [0, 1, 2]), region(6, [0, 1, 2])],
    operations: [],
    ...change,
  };
}

/** Three serving stores under PD's view. */
export function observed(change: Partial<Observed> = {}): Observed {
  return {
    pds: [pdRecord(0)],
    nextPdOrdinal: 1,
    wallMs: 1_800_000_000_000,
    stores: [record(0), record(1), record(2)],
    nextOrdinal: 3,
    view: view(),
    ...change,
  };
}

/** The actions, one phrase each. */
export function actionsOf(seen: Observed, desired: DesiredCluster = wanted()): readonly string[] {
  return plan(seen, desired, NOW).actions.map(describeStep);
}

/** What is held back, one line each. */
export function blockedOf(seen: Observed, desired: DesiredCluster = wanted()): string {
  return plan(seen, desired, NOW)
    .blocked.map(({ object, reason }) => `${object}: ${reason}`)
    .join("\n");
}
