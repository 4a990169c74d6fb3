import { stringify } from "yaml";
import type { DesiredCluster } from "../../api/index.js";
import type { Layout } from "./layout.js";
import { HOST } from "./ports.js";
import type { OperatorState, PdEntry, ProcessEntry } from "./state-file.js";

const PD_KEY = "pd";

/** The addresses of PD's members as clients use them, of those that have ever been started. */
export function pdAddresses({ pds }: Pick<OperatorState, "pds">): readonly string[] {
  return pds.filter(({ port }) => port !== 0).map(({ port }) => `${HOST}:${port}`);
}

/**
 * The settings file of a PD member. What can be changed while it runs is also in PD's cluster configuration, which the plan keeps.
 *
 * @param isFirst it begins the cluster; any other joins those that are there
 */
export function pdConfig(
  layout: Layout,
  state: OperatorState,
  entry: PdEntry,
  desired: DesiredCluster,
  isFirst: boolean,
): string {
  const { name, port, statusPort, initialised } = entry;
  const others = pdAddresses({ pds: state.pds.filter((other) => other.name !== name) });
  return stringify({
    clusterId: state.clusterId,
    name,
    address: `${HOST}:${port}`,
    statusAddress: `${HOST}:${statusPort}`,
    dataDir: layout.pdDir(name),
    ...(initialised ? { initialState: "existing" } : isFirst ? { initialState: "new" } : {}),
    ...(isFirst || others.length === 0 ? {} : { join: others }),
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

/** The settings of a store whose change takes a restart: what a user can change, and where PD is. */
export function storeSettings(state: OperatorState, desired: DesiredCluster): Readonly<Record<string, string>> {
  return {
    "raft.tickMs": String(desired.raft.tickMs),
    "raft.electionTicks": String(desired.raft.electionTicks),
    "raft.heartbeatTicks": String(desired.raft.heartbeatTicks),
    [PD_KEY]: pdAddresses(state).join(","),
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
    .filter(([key, value]) => key !== PD_KEY || !shareOne(value, wanted[key] ?? ""))
    .map(([key, value]) => `${key} ${value} -> ${wanted[key] ?? ""}`);
  return changes.length === 0 ? undefined : changes.join(", ");
}

/** One address of PD that holds is enough: a store learns the others from PD. */
function shareOne(a: string, b: string): boolean {
  const known = new Set(a.split(","));
  return b.split(",").some((address) => known.has(address));
}
