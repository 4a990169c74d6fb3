/**
 * A cluster on paper for the tests of the plan: hosts, processes, disks, images, and a PD that moves peers and leaders a step per tick. One tick is
 * one second. `cluster.ts` has the state and the passing of time, `placement.ts` what PD does, `executor.ts` what the plan's actions do, with the
 * checks of what must never happen. Used by tests alone.
 */
import type { Host, PdMember, ProcessState } from "../observed.js";

/** Exit code of a process whose disk is lost, or whose identity is given up. */
export const EXIT_DISK_LOST = 7;
/** A run of this length ends a row of failures. */
const LASTING_RUN_MS = 10_000;
const STOP_MS = 2_000;

/** The image that no process can be started with. */
export const BAD_IMAGE = "bad";

/** A host, changeable. */
export type SimHost = { -readonly [K in keyof Host]: Host[K] };

/** A process with its disk. */
export interface SimProcess {
  readonly name: string;
  readonly ordinal: number;
  process: ProcessState;
  /** What it runs, or would run when it is started. */
  image: string;
  /** Where its volume is; undefined before its first start. */
  host: SimHost | undefined;
  disk: "present" | "missing" | "terminating";
  isInitialised: boolean;
  failures: number;
  failingSinceMs: number;
}

/** A store. */
export interface SimStore extends SimProcess {
  readonly storeId: number;
  isRegistered: boolean;
  drainedByOperator: boolean;
  drainOrigin: string;
  wantsDrain: boolean;
  removeFirst: boolean;
  lifecycle: "up" | "draining" | "tombstone";
  isDiskLostKnown: boolean;
  heartbeatMs: number;
  leaseUntilMs: number;
}

/** A member of PD. */
export interface SimPd extends SimProcess {
  readonly memberId: number;
  membership: "none" | "learner" | "voter" | "removed";
}

/** A region: its voters by store id. */
export interface SimRegion {
  readonly regionId: number;
  voters: Set<number>;
  leader: number | undefined;
}

/** A seeded source of numbers in [0, 1). */
export type Random = () => number;

/** Everything there is. */
export interface SimCluster {
  readonly random: Random;
  /** Whether processes that end are started again by their host. */
  readonly hasKubelet: boolean;
  nowMs: number;
  readonly hosts: SimHost[];
  readonly stores: SimStore[];
  readonly pds: SimPd[];
  readonly regions: SimRegion[];
  readonly usedNames: Set<string>;
  /** Running replace-peer operations by region: ticks left, from, to. */
  readonly operations: Map<number, { left: number; from: number; to: number }>;
  config: {
    replicas: number;
    repair: string;
    regionMaxBytes: number;
    regionMaxKeys: number;
    operationLimit: number;
    logLevel: string;
  };
  pdLeader: string | undefined;
  /** What new processes run. */
  image: string;
  hasRoom: boolean;
}

/** Makes an empty cluster. */
export function newCluster(random: Random, hosts: number): SimCluster {
  return {
    random,
    hasKubelet: random() < 0.5,
    nowMs: 0,
    hosts: Array.from({ length: hosts }, (_, i) => ({
      name: `h${i}`,
      state: "ready",
      sinceMs: 0,
      isCordoned: false,
      labels: { zone: `z${i % 3}`, host: `h${i}` },
    })),
    stores: [],
    pds: [],
    regions: [],
    usedNames: new Set(),
    operations: new Map(),
    config: { replicas: 3, repair: "operator", regionMaxBytes: 0, regionMaxKeys: 0, operationLimit: 8, logLevel: "" },
    pdLeader: undefined,
    image: "v1",
    hasRoom: true,
  };
}

/** Whether a process runs and can be reached. */
export function isLive({ process, host }: SimProcess): boolean {
  return process.kind === "running" && host?.state === "ready";
}

/** PD's voters. */
export function pdVoters({ pds }: SimCluster): readonly SimPd[] {
  return pds.filter(({ membership }) => membership === "voter");
}

/** Whether PD can decide anything. */
export function hasPdQuorum(cluster: SimCluster): boolean {
  const voters = pdVoters(cluster);
  return voters.filter((pd) => isLive(pd)).length * 2 > voters.length;
}

/** PD's members as its leader knows them. */
export function pdMembers(cluster: SimCluster): readonly PdMember[] {
  return cluster.pds
    .filter(({ membership }) => membership === "learner" || membership === "voter")
    .map((pd) => ({
      memberId: pd.memberId,
      name: pd.name,
      isLeader: pd.name === cluster.pdLeader,
      isVoter: pd.membership === "voter",
      isHealthy: isLive(pd),
    }));
}

/** Makes a process exist, on the host of its volume or on a new one. */
export function start(cluster: SimCluster, it: SimProcess): void {
  if (it.isInitialised && it.disk !== "present") throw new Error(`${it.name} is started on a disk that is ${it.disk}`);
  if (it.process.kind === "running" || it.process.kind === "pending") return;
  it.process = { kind: "pending", sinceMs: cluster.nowMs, cause: "starting", why: "it starts" };
  place(cluster, it);
}

/** Asks a process to stop. */
export function stop(cluster: SimCluster, it: SimProcess): void {
  if (it.process.kind === "running") it.process = { kind: "stopping", sinceMs: cluster.nowMs };
  else if (it.process.kind !== "stopping") it.process = { kind: "stopped" };
}

/** Ends a process as a fault would. */
export function end({ nowMs, hasKubelet }: SimCluster, it: SimProcess, code: number): void {
  const ran = it.process.kind === "running" ? nowMs - it.process.sinceMs : 0;
  if (ran >= LASTING_RUN_MS || it.failures === 0) Object.assign(it, { failures: 0, failingSinceMs: nowMs });
  it.failures++;
  const { failures, failingSinceMs } = it;
  it.process = {
    ...{ kind: "exited", code, signal: null, atMs: nowMs, failures, failingSinceMs },
    ...(hasKubelet ? { restartsByItself: true } : {}),
  };
}

/** Lets a second pass for all processes. */
export function passTime(cluster: SimCluster): void {
  cluster.nowMs += 1_000;
  for (const it of [...cluster.pds, ...cluster.stores]) advance(cluster, it);
  electPdLeader(cluster);
}

function advance(cluster: SimCluster, it: SimProcess): void {
  const { process, host } = it;
  if (host?.state === "gone" && process.kind !== "pending") {
    it.process = { kind: "stopped" };
    return;
  }
  switch (process.kind) {
    case "pending":
      place(cluster, it);
      return;
    case "stopping":
      if (host?.state !== "ready" || cluster.nowMs - process.sinceMs < STOP_MS) return;
      it.process = { kind: "stopped" };
      Object.assign(it, { failures: 0, disk: it.disk === "terminating" ? "missing" : it.disk });
      return;
    case "running":
      if (host?.state === "notReady" && cluster.hasKubelet && cluster.random() < 0.02)
        stop(cluster, it); // evicted
      else if (it.disk === "missing") end(cluster, it, EXIT_DISK_LOST);
      else if (cluster.nowMs - process.sinceMs >= LASTING_RUN_MS) it.failures = 0;
      return;
    case "exited": {
      const isDue = cluster.nowMs - process.atMs >= Math.min(20, 2 ** it.failures) * 1_000;
      if (process.restartsByItself !== true || !isDue || host?.state !== "ready") return;
      if (it.disk === "missing" || process.code === EXIT_DISK_LOST) end(cluster, it, EXIT_DISK_LOST);
      else place(cluster, it);
      return;
    }
    case "stopped":
      return;
  }
}

/** Finds a host and begins to run there, or says what it waits for. */
function place(cluster: SimCluster, it: SimProcess): void {
  const sinceMs = it.process.kind === "pending" ? it.process.sinceMs : cluster.nowMs;
  const wait = (cause: "unschedulable" | "image", why: string) => {
    it.process = { kind: "pending", sinceMs, cause, why };
  };
  if (it.image === BAD_IMAGE) {
    wait("image", "its image cannot be pulled: set another");
    return;
  }
  if (it.host === undefined) {
    const crowd = (host: SimHost) => [...cluster.stores, ...cluster.pds].filter((other) => other.host === host).length;
    const free = cluster.hosts
      .filter(({ state, isCordoned }) => state === "ready" && !isCordoned)
      .sort((a, b) => crowd(a) - crowd(b));
    if (!cluster.hasRoom || free[0] === undefined) {
      wait("unschedulable", "0 hosts have room: add one");
      return;
    }
    it.host = free[0];
  }
  if (it.host.state !== "ready") {
    wait("unschedulable", `its volume is on ${it.host.name}`);
    return;
  }
  it.process = { kind: "running", sinceMs: cluster.nowMs };
  if (it.disk === "missing" && !it.isInitialised) it.disk = "present";
}

function electPdLeader(cluster: SimCluster): void {
  const live = pdVoters(cluster).filter((pd) => isLive(pd));
  if (!hasPdQuorum(cluster)) cluster.pdLeader = undefined;
  else if (!live.some(({ name }) => name === cluster.pdLeader)) {
    cluster.pdLeader = live[0]?.name;
    for (const store of cluster.stores) store.heartbeatMs = cluster.nowMs; // a new leader gives everybody time to be heard
    for (const store of cluster.stores) store.leaseUntilMs = 0;
  }
}
