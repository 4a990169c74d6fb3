import { stringify } from "yaml";
import type { DesiredCluster } from "../../api/index.js";
import type { Layout } from "./layout.js";
import { HOST } from "./ports.js";
import type { OperatorState, ProcessEntry } from "./state-file.js";

/** PD's addresses as clients use them. */
export function pdAddresses({ pd }: OperatorState): readonly string[] {
  return [`${HOST}:${pd.port}`];
}

/** The settings file of PD. What can be changed while it runs is also in its cluster configuration, which the plan keeps. */
export function pdConfig(layout: Layout, state: OperatorState, desired: DesiredCluster): string {
  const { name, port, statusPort } = state.pd;
  return stringify({
    clusterId: state.clusterId,
    name,
    address: `${HOST}:${port}`,
    statusAddress: `${HOST}:${statusPort}`,
    dataDir: layout.pdDir(name),
    initialState: state.pd.initialised ? "existing" : "new",
    logLevel: desired.logLevel,
    repair: "operator",
    replicas: desired.regionReplicas,
    region: { maxBytes: desired.regionMaxBytes, maxKeys: desired.regionMaxKeys },
    schedule: { operationLimit: desired.operationLimit },
  });
}

/** The settings file of a store. */
export function storeConfig(
  layout: Layout,
  state: OperatorState,
  entry: ProcessEntry,
  desired: DesiredCluster,
): string {
  return stringify({
    clusterId: state.clusterId,
    clusterName: state.name,
    name: entry.name,
    address: `${HOST}:${entry.port}`,
    statusAddress: `${HOST}:${entry.statusPort}`,
    pd: [...pdAddresses(state)],
    dataDir: layout.storeDir(entry.name),
    engine: desired.engine,
    logLevel: desired.logLevel,
    raft: desired.raft,
  });
}

/** The settings of PD whose change takes a restart. */
export function pdSettings(desired: DesiredCluster): Readonly<Record<string, string>> {
  return { logLevel: desired.logLevel };
}

/** The settings of a store whose change takes a restart: what a user can change, and where PD is. */
export function storeSettings(state: OperatorState, desired: DesiredCluster): Readonly<Record<string, string>> {
  return {
    logLevel: desired.logLevel,
    "raft.tickMs": String(desired.raft.tickMs),
    "raft.electionTicks": String(desired.raft.electionTicks),
    "raft.heartbeatTicks": String(desired.raft.heartbeatTicks),
    pd: pdAddresses(state).join(","),
  };
}

/**
 * Says in words what differs between the settings a process was started with and those wanted now; undefined if nothing does. A key
 * that the running process was not told is left out: a new version of the operator restarts nothing.
 */
export function describeDifference(
  started: Readonly<Record<string, string>> | undefined,
  wanted: Readonly<Record<string, string>>,
): string | undefined {
  const changes = Object.entries(started ?? {})
    .filter(([key, value]) => wanted[key] !== undefined && wanted[key] !== value)
    .map(([key, value]) => `${key} ${value} -> ${wanted[key] ?? ""}`);
  return changes.length === 0 ? undefined : changes.join(", ");
}
