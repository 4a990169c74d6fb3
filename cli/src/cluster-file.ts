/** Finds the cluster: by flag, by the file that `npm start` leaves in its data directory, else by RHEA_PD. */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { RheaError } from "@rhea/common";

const FILE = "cluster.json";
const DATA_DIR = ".rhea";

/** Where a cluster is. */
export interface FoundCluster {
  readonly pd: readonly string[];
  /** Stores to ask for routes while PD does not answer; may be empty. */
  readonly stores: readonly string[];
  readonly clusterId: number;
  /** Where this comes from, for messages. */
  readonly source: string;
}

/** Flags and places to look. */
export interface ClusterSearch {
  /** `--pd`: addresses separated by commas. */
  readonly pd?: string | undefined;
  /** `--data-dir`: the data directory of an `npm start`. */
  readonly dataDir?: string | undefined;
  readonly clusterId?: number | undefined;
  readonly cwd: string;
  readonly projectRoot: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

function splitAddresses(list: string, source: string): string[] {
  const addresses = list
    .split(",")
    .map((address) => address.trim())
    .filter((address) => address !== "");
  if (addresses.length > 0) return addresses;
  throw new RheaError("INVALID_ARGUMENT", `${source}: no address given, host:port[,host:port] is needed`);
}

function readClusterFile(path: string): FoundCluster | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined; // not here; whoever needs it names where else to look
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw new RheaError("INVALID_CONFIG", `${path}: it is not JSON: start the cluster again, or pass --pd`, { cause });
  }
  const { pd, stores = [], clusterId } = (content ?? {}) as { pd?: unknown; stores?: unknown; clusterId?: unknown };
  if (!isAddressList(pd) || pd.length === 0) {
    throw new RheaError(
      "INVALID_CONFIG",
      `${path}: "pd" is no list of addresses: start the cluster again, or pass --pd`,
    );
  }
  return {
    pd,
    stores: isAddressList(stores) ? stores : [],
    clusterId: typeof clusterId === "number" ? clusterId : 1,
    source: path,
  };
}

function isAddressList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

function upwards(from: string): string[] {
  const parent = dirname(from);
  return parent === from ? [from] : [from, ...upwards(parent)];
}

/**
 * Order: `--pd`; `--data-dir`; `.rhea/cluster.json` in the working directory, its parents and the project; RHEA_PD (cluster id: RHEA_CLUSTER_ID or 1). A given
 * `--cluster-id` wins over any source. Throws INVALID_ARGUMENT when nothing is found, INVALID_CONFIG for a broken file.
 */
export function findCluster(search: ClusterSearch): FoundCluster {
  const withId = (found: FoundCluster): FoundCluster => ({ ...found, clusterId: search.clusterId ?? found.clusterId });
  if (search.pd !== undefined)
    return withId({ pd: splitAddresses(search.pd, "--pd"), stores: [], clusterId: 1, source: "--pd" });
  if (search.dataDir !== undefined) {
    const path = resolve(search.cwd, search.dataDir, FILE);
    const found = readClusterFile(path);
    if (found !== undefined) return withId(found);
    throw new RheaError(
      "INVALID_ARGUMENT",
      `--data-dir: there is no ${path}: is this the data directory of an npm start?`,
    );
  }
  for (const directory of [...upwards(search.cwd), search.projectRoot]) {
    const found = readClusterFile(join(directory, DATA_DIR, FILE));
    if (found !== undefined) return withId(found);
  }
  const { RHEA_PD: pd, RHEA_CLUSTER_ID: id } = search.env;
  if (pd !== undefined) {
    const clusterId = Number(id ?? "1");
    return withId({ pd: splitAddresses(pd, "RHEA_PD"), stores: [], clusterId, source: "RHEA_PD" });
  }
  throw new RheaError(
    "INVALID_ARGUMENT",
    `no cluster found: start one with npm start (it writes ${DATA_DIR}/${FILE}), set RHEA_PD=host:port or pass --pd host:port`,
  );
}
