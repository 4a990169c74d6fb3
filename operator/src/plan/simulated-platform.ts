/**
 * A cluster on paper for the tests of the plan: processes, disks, a PD that moves peers a step per tick, and an executor of the plan's
 * actions. One tick is one second. It checks at every step what must never happen. Used by tests alone.
 */
import type { DesiredCluster } from "../api/resolve.js";
import type { Action } from "./action.js";
import type { Observed, PdOperation, PdView, ProcessState } from "./observed.js";

const EXIT_DISK_LOST = 7;

interface SimStore {
  readonly name: string;
  readonly ordinal: number;
  readonly storeId: number;
  process: ProcessState;
  hasDisk: boolean;
  isRegistered: boolean;
  isInitialised: boolean;
  drainedByOperator: boolean;
  lifecycle: "up" | "draining" | "tombstone";
  isDiskLostKnown: boolean;
  heartbeatMs: number;
  /** Whether the platform still has a record of it. */
  hasRecord: boolean;
}

interface SimRegion {
  readonly regionId: number;
  voters: Set<number>;
}

/** A seeded source of numbers in [0, 1). */
export type Random = () => number;

/** The cluster on paper. */
export class SimulatedPlatform {
  nowMs = 0;
  isPdRunning = false;
  readonly stores: SimStore[] = [];
  readonly regions: SimRegion[] = [];
  /** Running replace-peer operations by region: ticks left, from, to. */
  readonly operations = new Map<number, { left: number; from: number; to: number }>();
  config = { replicas: 3, repair: "operator", regionMaxBytes: 0, regionMaxKeys: 0, operationLimit: 8, logLevel: "" };
  readonly #random: Random;
  #isPdInitialised = false;

  constructor(random: Random) {
    this.#random = random;
  }

  /** What the plan sees. */
  observe(): Observed {
    return {
      pds: [
        {
          name: "demo-pd-0",
          ordinal: 0,
          initialised: this.#isPdInitialised,
          process: this.isPdRunning ? { kind: "running", sinceMs: 0 } : { kind: "stopped" },
          directory: "present",
        },
      ],
      nextPdOrdinal: 1,
      wallMs: this.nowMs,
      stores: this.stores
        .filter(({ hasRecord }) => hasRecord)
        .map(({ name, ordinal, process, hasDisk, isInitialised, drainedByOperator }) => ({
          ...{ name, ordinal, process, drainedByOperator },
          initialised: isInitialised,
          ...{ wantsDrain: false, removeFirst: false },
          directory: hasDisk ? "present" : "missing",
        })),
      nextOrdinal: 0,
      view: this.isPdRunning ? this.#view() : undefined,
    };
  }

  /** Does what an action says. Throws when it may not be done. */
  execute(action: Action, desired: DesiredCluster): void {
    switch (action.kind) {
      case "startPd":
        this.isPdRunning = true;
        this.#isPdInitialised = true;
        return;
      case "addStore":
        if (this.stores.some(({ name }) => name === action.name)) throw new Error(`${action.name} is used again`);
        this.stores.push(newStore(action.name, action.ordinal, 100 + this.stores.length));
        this.#run(action.name);
        return;
      case "startStore":
        this.#run(action.name);
        return;
      case "stopProcess":
      case "restartProcess":
        this.#named(action.name).process = { kind: "stopped" };
        return;
      case "drainStore": {
        const live = this.stores.filter(
          (store) => isLive(store) && store.lifecycle === "up" && store.name !== action.name,
        );
        if (live.length < desired.regionReplicas)
          throw new Error(`the drain of ${action.name} leaves ${live.length} stores`);
        Object.assign(this.#named(action.name), { lifecycle: "draining", drainedByOperator: true });
        return;
      }
      case "cancelDrain":
        Object.assign(this.#named(action.name), { lifecycle: "up", drainedByOperator: false });
        return;
      case "removeStore":
        this.#requireEmpty(action.name);
        this.#named(action.name).lifecycle = "tombstone";
        return;
      case "deleteStore":
        this.#requireEmpty(action.name);
        if (this.#named(action.name).process.kind === "running") throw new Error(`${action.name} still runs`);
        this.#named(action.name).hasRecord = false;
        return;
      case "replacePeer": {
        const region = this.regions.find(({ regionId }) => regionId === action.regionId);
        if (region === undefined || this.#liveVoters(region) * 2 <= region.voters.size) throw new Error("no quorum");
        this.operations.set(action.regionId, { left: 2, from: action.fromStoreId, to: action.toStoreId });
        return;
      }
      case "reportDiskLost":
        this.#named(action.name).isDiskLostKnown = true;
        return;
      case "setClusterConfig":
        this.config = { ...action.config };
        return;
      case "addPd":
      case "removePdMember":
      case "deletePd":
      case "transferPdLeader":
      case "evictLeaders":
      case "releaseLeaders":
        throw new Error(`${action.kind} is not expected of one member`);
    }
  }

  /** Lets a second pass: stores beat, PD moves peers. */
  tick(): void {
    this.nowMs += 1_000;
    for (const store of this.stores) {
      if (store.process.kind !== "running") continue;
      if (!store.hasDisk || store.lifecycle === "tombstone") this.#end(store, EXIT_DISK_LOST);
      else if (this.isPdRunning)
        Object.assign(store, { isRegistered: true, isInitialised: true, heartbeatMs: this.nowMs });
    }
    if (this.isPdRunning) this.#schedule();
  }

  /** Kills a process. */
  kill(name: string): void {
    const store = this.#named(name);
    if (store.process.kind === "running") this.#end(store, 137);
  }

  /** Takes a store's disk away. */
  loseDisk(name: string): void {
    this.#named(name).hasDisk = false;
  }

  /** Whether every region has all its voters, and all live. */
  isHealthy(): boolean {
    return this.regions.every((region) => region.voters.size === 3 && this.#liveVoters(region) === 3);
  }

  /** Live stores that are not leaving. */
  live(): readonly SimStore[] {
    return this.stores.filter((store) => isLive(store) && store.lifecycle === "up");
  }

  #schedule(): void {
    const targets = () => this.live().filter(({ isRegistered }) => isRegistered);
    if (this.regions.length === 0 && targets().length > 0) {
      const [first] = targets();
      for (let regionId = 1; regionId <= 4; regionId++)
        this.regions.push({ regionId, voters: new Set([first?.storeId ?? 0]) });
    }
    for (const region of this.regions) {
      const operation = this.operations.get(region.regionId);
      if (this.#liveVoters(region) * 2 <= region.voters.size) continue; // nothing can be committed
      if (operation !== undefined) {
        operation.left--;
        if (operation.left === 1) region.voters.add(operation.to);
        if (operation.left > 0) continue;
        if (region.voters.has(operation.to)) region.voters.delete(operation.from);
        this.operations.delete(region.regionId);
        continue;
      }
      const free = targets().filter(({ storeId }) => !region.voters.has(storeId));
      const next = free[Math.floor(this.#random() * free.length)];
      const leaving = [...region.voters].find((id) => this.#byId(id).lifecycle === "draining");
      const surplus = region.voters.size > this.config.replicas;
      if (surplus) region.voters.delete(leaving ?? this.#worst(region));
      else if (next !== undefined && (region.voters.size < this.config.replicas || leaving !== undefined))
        region.voters.add(next.storeId);
    }
  }

  #worst(region: SimRegion): number {
    const ids = [...region.voters];
    return ids.find((id) => !isLive(this.#byId(id))) ?? ids[Math.floor(this.#random() * ids.length)] ?? 0;
  }

  #view(): PdView {
    const peers = (storeId: number) => this.regions.filter(({ voters }) => voters.has(storeId)).length;
    const stores = this.stores.filter(({ isRegistered }) => isRegistered);
    const operations = [...this.operations].map(([regionId]): PdOperation => ({
      ...{ operationId: regionId, regionId, kind: "replace-peer", origin: "operator" },
      ...{ isRunning: true, succeeded: false, finishedMsAgo: 0 },
    }));
    return {
      ageMs: 0,
      isBootstrapped: this.regions.length > 0,
      members: [{ memberId: 1, name: "demo-pd-0", isLeader: true, isVoter: true, isHealthy: true }],
      config: { ...this.config },
      stores: stores.map((store) => ({
        ...{ storeId: store.storeId, name: store.name, heartbeatMsAgo: this.nowMs - store.heartbeatMs },
        state: store.lifecycle === "up" && this.nowMs - store.heartbeatMs > 20_000 ? "disconnected" : store.lifecycle,
        ...{ regionCount: peers(store.storeId), leaderCount: 0, pendingPeerCount: 0, drainBlocked: "", usedBytes: 0 },
        ...{ evictLeadersMsLeft: 0, drainOrigin: "" },
        ...{ drainedRatio: peers(store.storeId) === 0 ? 1 : 0, diskLost: store.isDiskLostKnown },
      })),
      regions: this.regions.map((region) => ({
        regionId: region.regionId,
        peers: [...region.voters].map((storeId) => ({
          peerId: region.regionId * 1000 + storeId,
          storeId,
          isVoter: true,
        })),
        downPeerIds: [],
        reportedMsAgo: 0,
        hasQuorum: this.#liveVoters(region) * 2 > region.voters.size,
        isFullyReplicated:
          region.voters.size === this.config.replicas && this.#liveVoters(region) === region.voters.size,
      })),
      operations,
    };
  }

  #run(name: string): void {
    const store = this.#named(name);
    if (store.isInitialised && !store.hasDisk) throw new Error(`${name} is started on an empty directory`);
    store.process = { kind: "running", sinceMs: this.nowMs };
  }

  #end(store: SimStore, code: number): void {
    const failures = store.process.kind === "exited" ? store.process.failures + 1 : 1;
    store.process = { kind: "exited", code, signal: null, atMs: this.nowMs, failures, failingSinceMs: this.nowMs };
  }

  #requireEmpty(name: string): void {
    const { storeId } = this.#named(name);
    const left = this.regions.filter(({ voters }) => voters.has(storeId)).length;
    if (left > 0) throw new Error(`${name} is given up with ${left} peers on it`);
  }

  #liveVoters(region: SimRegion): number {
    return [...region.voters].filter((id) => isLive(this.#byId(id))).length;
  }

  #named(name: string): SimStore {
    const store = this.stores.find((candidate) => candidate.name === name);
    if (store === undefined) throw new Error(`there is no ${name}`);
    return store;
  }

  #byId(storeId: number): SimStore {
    const store = this.stores.find((candidate) => candidate.storeId === storeId);
    if (store === undefined) throw new Error(`there is no store ${storeId}`);
    return store;
  }
}

function isLive({ process, hasDisk }: SimStore): boolean {
  return process.kind === "running" && hasDisk;
}

function newStore(name: string, ordinal: number, storeId: number): SimStore {
  return {
    ...{ name, ordinal, storeId, process: { kind: "stopped" } as const, hasDisk: true },
    ...{ isRegistered: false, isInitialised: false, drainedByOperator: false, lifecycle: "up" as const },
    ...{ isDiskLostKnown: false, heartbeatMs: 0, hasRecord: true },
  };
}
