/** What the plan sees of the cluster on paper, and what its actions do to it. Every action is checked: it throws when it may not be done. */
import type { DesiredCluster } from "../../api/resolve.js";
import type { Action } from "../action.js";
import type { MemberRecord, Observed } from "../observed.js";
import {
  hasPdQuorum,
  isLive,
  pdVoters,
  start,
  stop,
  type SimCluster,
  type SimPd,
  type SimProcess,
  type SimStore,
} from "./cluster.js";
import { hasQuorum } from "./placement.js";

/** Reads off everything but PD's view. */
export function observe(cluster: SimCluster): Omit<Observed, "view"> {
  return {
    pds: cluster.pds.map((pd) => recordOf(cluster, pd)),
    nextPdOrdinal: nextOrdinal(cluster, "demo-pd-"),
    stores: cluster.stores.map((store) => ({
      ...recordOf(cluster, store),
      drainedByOperator: store.drainedByOperator,
      wantsDrain: store.wantsDrain,
      removeFirst: store.removeFirst,
    })),
    nextOrdinal: nextOrdinal(cluster, "demo-store-"),
    wallMs: cluster.nowMs,
  };
}

function nextOrdinal({ usedNames }: SimCluster, prefix: string): number {
  const used = [...usedNames]
    .filter((name) => name.startsWith(prefix))
    .map((name) => Number(name.slice(prefix.length)));
  return Math.max(-1, ...used) + 1;
}

function recordOf(cluster: SimCluster, it: SimProcess): MemberRecord {
  const { host } = it;
  const canBeOutdated = it.process.kind === "running" || it.process.kind === "pending" || it.process.kind === "exited";
  const outdated =
    canBeOutdated && it.image !== cluster.image ? { outdated: `image ${it.image} -> ${cluster.image}` } : {};
  return {
    name: it.name,
    ordinal: it.ordinal,
    initialised: it.isInitialised,
    process: { ...it.process, ...outdated },
    directory: it.disk,
    ...(host === undefined ? {} : { host: { ...host } }),
    image: it.image,
  };
}

/** Actions that PD does. */
const PD_CALLS: ReadonlySet<Action["kind"]> = new Set([
  "removePdMember",
  "transferPdLeader",
  "drainStore",
  "cancelDrain",
  "removeStore",
  "evictLeaders",
  "releaseLeaders",
  "replacePeer",
  "reportDiskLost",
  "setClusterConfig",
]);

/** Does what an action says. Throws when it may not be done. */
export function execute(cluster: SimCluster, action: Action, desired: DesiredCluster): void {
  const { stores, pds, nowMs } = cluster;
  if (PD_CALLS.has(action.kind) && !hasPdQuorum(cluster)) return; // PD does not answer
  switch (action.kind) {
    case "addPd": {
      if (action.isFirst && pds.length > 0) throw new Error("a second first member");
      const pd: SimPd = {
        ...newProcess(cluster, action),
        memberId: cluster.usedNames.size,
        membership: action.isFirst ? "voter" : "none",
      };
      pds.push(pd);
      start(cluster, pd);
      return;
    }
    case "startPd":
      if (action.isFirst && pds.some(({ isInitialised }) => isInitialised)) throw new Error("a cluster is begun again");
      run(cluster, pdNamed(cluster, action.name));
      return;
    case "removePdMember": {
      const pd = pdNamed(cluster, action.name);
      const left = pdVoters(cluster).filter((voter) => voter !== pd);
      const live = left.filter((voter) => isLive(voter)).length;
      if (live * 2 <= left.length) throw new Error(`PD is left with ${live} of ${left.length} voters`);
      pd.membership = "removed";
      return;
    }
    case "deletePd": {
      const pd = pdNamed(cluster, action.name);
      if (pd.membership === "voter") throw new Error(`${pd.name} is deleted and still a voter`);
      if (pd.process.kind === "running") throw new Error(`${pd.name} still runs`);
      pds.splice(pds.indexOf(pd), 1);
      return;
    }
    case "transferPdLeader":
      cluster.pdLeader = pdNamed(cluster, action.toName).name;
      return;
    case "addStore": {
      const present = stores.filter(({ lifecycle }) => lifecycle === "up").length;
      const most = Math.max(desired.storeReplicas, desired.autoscale?.maxReplicas ?? 0) + desired.maxReplacements;
      if (present >= most) throw new Error(`${present} stores are there and one is added; the most is ${most}`);
      const store: SimStore = {
        ...newProcess(cluster, action),
        ...{ storeId: 100 + cluster.usedNames.size, isRegistered: false, drainedByOperator: false, drainOrigin: "" },
        ...{ wantsDrain: false, removeFirst: false, lifecycle: "up", isDiskLostKnown: false },
        ...{ heartbeatMs: 0, leaseUntilMs: 0 },
      };
      stores.push(store);
      start(cluster, store);
      return;
    }
    case "startStore":
      run(cluster, storeNamed(cluster, action.name));
      return;
    case "stopProcess":
    case "restartProcess": {
      const it = [...pds, ...stores].find(({ name }) => name === action.name);
      if (it === undefined) throw new Error(`there is no ${action.name}`);
      if (!desired.suspend) requireQuorums(cluster, it);
      if (it.process.kind !== "running") it.image = cluster.image;
      stop(cluster, it);
      return;
    }
    case "drainStore": {
      const store = storeNamed(cluster, action.name);
      const others = stores.filter((other) => other !== store && other.lifecycle === "up" && isLive(other));
      if (others.length < desired.regionReplicas) throw new Error(`the drain leaves ${others.length} stores`);
      Object.assign(store, { lifecycle: "draining", drainedByOperator: true, drainOrigin: "operator" });
      return;
    }
    case "cancelDrain": {
      const store = storeNamed(cluster, action.name);
      if (store.lifecycle === "tombstone") return; // PD refuses
      Object.assign(store, { lifecycle: "up", drainedByOperator: false, drainOrigin: "" });
      return;
    }
    case "removeStore":
      requireEmpty(cluster, action.name);
      storeNamed(cluster, action.name).lifecycle = "tombstone";
      return;
    case "deleteStore": {
      const store = storeNamed(cluster, action.name);
      requireEmpty(cluster, action.name);
      if (store.isRegistered && store.lifecycle !== "tombstone") throw new Error(`${store.name} is no tombstone`);
      if (store.process.kind === "running") throw new Error(`${store.name} still runs`);
      stores.splice(stores.indexOf(store), 1);
      return;
    }
    case "evictLeaders":
      storeNamed(cluster, action.name).leaseUntilMs = nowMs + action.ttlMs;
      if (!stores.some(({ leaseUntilMs }) => leaseUntilMs <= nowMs)) throw new Error("no store may lead");
      return;
    case "releaseLeaders":
      storeNamed(cluster, action.name).leaseUntilMs = 0;
      return;
    case "replacePeer": {
      const region = cluster.regions.find(({ regionId }) => regionId === action.regionId);
      if (region === undefined || !hasQuorum(cluster, region)) throw new Error("no quorum");
      cluster.operations.set(action.regionId, { left: 2, from: action.fromStoreId, to: action.toStoreId });
      return;
    }
    case "reportDiskLost":
      storeNamed(cluster, action.name).isDiskLostKnown = true;
      return;
    case "setClusterConfig":
      cluster.config = { ...action.config };
      return;
  }
}

function newProcess(cluster: SimCluster, { name, ordinal }: { name: string; ordinal: number }): SimProcess {
  if (cluster.usedNames.has(name)) throw new Error(`${name} is used again`);
  cluster.usedNames.add(name);
  return {
    ...{ name, ordinal, process: { kind: "stopped" }, image: cluster.image, host: undefined },
    ...{ disk: "missing", isInitialised: false, failures: 0, failingSinceMs: 0 },
  };
}

function run(cluster: SimCluster, it: SimProcess): void {
  it.image = cluster.image;
  start(cluster, it);
}

/** What we stop must not be what a quorum hangs on. */
function requireQuorums(cluster: SimCluster, it: SimProcess): void {
  if (!isLive(it)) return;
  const before = cluster.regions.filter((region) => hasQuorum(cluster, region));
  const pdBefore = pdVoters(cluster).filter((pd) => isLive(pd)).length;
  const { process } = it;
  it.process = { kind: "stopped" };
  const lost = before.find((region) => !hasQuorum(cluster, region) && region.voters.size > 1);
  const voters = pdVoters(cluster);
  const pdAfter = voters.filter((pd) => isLive(pd)).length;
  it.process = process;
  if (lost !== undefined) throw new Error(`region ${lost.regionId} loses its quorum`);
  if (voters.length > 1 && pdBefore * 2 > voters.length && pdAfter * 2 <= voters.length)
    throw new Error("PD loses its quorum");
}

function requireEmpty({ regions, stores }: SimCluster, name: string): void {
  const storeId = stores.find((store) => store.name === name)?.storeId ?? 0;
  const left = regions.filter(({ voters }) => voters.has(storeId)).length;
  if (left > 0) throw new Error(`${name} is given up with ${left} peers on it`);
}

function storeNamed({ stores }: SimCluster, wanted: string): SimStore {
  const found = stores.find(({ name }) => name === wanted);
  if (found === undefined) throw new Error(`there is no ${wanted}`);
  return found;
}

function pdNamed({ pds }: SimCluster, wanted: string): SimPd {
  const found = pds.find(({ name }) => name === wanted);
  if (found === undefined) throw new Error(`there is no ${wanted}`);
  return found;
}
