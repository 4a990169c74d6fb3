/** Finds the cluster: by flag, by a cluster.json (that of a mounted Secret, or what `npm start` leaves in its data directory), else by RHEA_PD. */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { RheaError, tlsFiles, type TlsFiles } from "@rhea/common";

const FILE = "cluster.json";
const DATA_DIR = ".rhea";

/** Where a cluster is. */
export interface FoundCluster {
  readonly pd: readonly string[];
  /** Stores to ask for routes while PD does not answer; may be empty. */
  readonly stores: readonly string[];
  readonly clusterId: number;
  /** What secures the connections; absent: plain text. */
  readonly tls?: TlsFiles | undefined;
  /** Where this comes from, for messages. */
  readonly source: string;
}

/** Flags and places to look. */
export interface ClusterSearch {
  /** `--pd`: addresses separated by commas. */
  readonly pd?: string | undefined;
  /** `--cluster-file`: a cluster.json, wherever it lies. */
  readonly clusterFile?: string | undefined;
  /** `--data-dir`: the data directory of an `npm start`. */
  readonly dataDir?: string | undefined;
  readonly clusterId?: number | undefined;
  /** `--ca-file`, `--cert-file`, `--key-file`. */
  readonly tls?: { readonly [Name in keyof TlsFiles]?: string | undefined } | undefined;
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
  return parseClusterFile(text, path);
}

/** Reads a file that was named: it must be there. */
function readNamedFile(path: string, source: string): FoundCluster {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const { message } = RheaError.from(cause);
    throw new RheaError("INVALID_ARGUMENT", `${source}: cannot read the cluster file: ${message}`, { cause });
  }
  return parseClusterFile(text, path);
}

function parseClusterFile(text: string, path: string): FoundCluster {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw new RheaError("INVALID_CONFIG", `${path}: it is not JSON: start the cluster again, or pass --pd`, { cause });
  }
  const { pd, stores = [], clusterId, tls } = (content ?? {}) as Readonly<Record<string, unknown>>;
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
    ...readTls(tls, path),
    source: path,
  };
}

/** Paths are relative to the file that names them. */
function readTls(tls: unknown, path: string): { tls?: TlsFiles } {
  if (tls === undefined || tls === null) return {};
  const named = tls as Readonly<Record<string, unknown>>;
  const pathOf = (key: string): string | undefined => {
    const file = named[key];
    return typeof file === "string" ? resolve(dirname(path), file) : undefined;
  };
  const keys = { caFile: `"caFile"`, certFile: `"certFile"`, keyFile: `"keyFile"` };
  const files = tlsFiles({ caFile: pathOf("caFile"), certFile: pathOf("certFile"), keyFile: pathOf("keyFile") }, keys);
  if (files !== undefined) return { tls: files };
  throw new RheaError("INVALID_CONFIG", `${path}: "tls" needs "caFile", "certFile" and "keyFile"`);
}

/** Flags and variables, mixed as the user likes; none of them: what the cluster file says. */
function givenTls(search: ClusterSearch): { tls?: TlsFiles } {
  const { RHEA_CA_FILE, RHEA_CERT_FILE, RHEA_KEY_FILE } = search.env;
  const from = (flag: string | undefined, variable: string | undefined): string | undefined => {
    const file = flag ?? variable;
    return file === undefined || file === "" ? undefined : resolve(search.cwd, file);
  };
  const files = tlsFiles(
    {
      caFile: from(search.tls?.caFile, RHEA_CA_FILE),
      certFile: from(search.tls?.certFile, RHEA_CERT_FILE),
      keyFile: from(search.tls?.keyFile, RHEA_KEY_FILE),
    },
    {
      caFile: "--ca-file (RHEA_CA_FILE)",
      certFile: "--cert-file (RHEA_CERT_FILE)",
      keyFile: "--key-file (RHEA_KEY_FILE)",
    },
  );
  return files === undefined ? {} : { tls: files };
}

function isAddressList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

function upwards(from: string): string[] {
  const parent = dirname(from);
  return parent === from ? [from] : [from, ...upwards(parent)];
}

/**
 * Order: `--pd`; `--cluster-file`; `--data-dir`; RHEA_CLUSTER_FILE; `.rhea/cluster.json` in the working directory, its parents and the project;
 * RHEA_PD (cluster id: RHEA_CLUSTER_ID or 1). A given `--cluster-id` wins over any source; so do TLS files by flag or variable over the cluster file's. Throws INVALID_ARGUMENT when nothing is found, INVALID_CONFIG for a broken file.
 */
export function findCluster(search: ClusterSearch): FoundCluster {
  const tls = givenTls(search);
  const withId = (found: FoundCluster): FoundCluster => ({
    ...found,
    clusterId: search.clusterId ?? found.clusterId,
    ...tls,
  });
  if (search.pd !== undefined)
    return withId({ pd: splitAddresses(search.pd, "--pd"), stores: [], clusterId: 1, source: "--pd" });
  if (search.clusterFile !== undefined)
    return withId(readNamedFile(resolve(search.cwd, search.clusterFile), "--cluster-file"));
  if (search.dataDir !== undefined) {
    const path = resolve(search.cwd, search.dataDir, FILE);
    const found = readClusterFile(path);
    if (found !== undefined) return withId(found);
    throw new RheaError(
      "INVALID_ARGUMENT",
      `--data-dir: there is no ${path}: is this the data directory of an npm start?`,
    );
  }
  const { RHEA_CLUSTER_FILE: namedFile = "" } = search.env;
  if (namedFile !== "") return withId(readNamedFile(resolve(search.cwd, namedFile), "RHEA_CLUSTER_FILE"));
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
    `no cluster found: start one with npm start (it writes ${DATA_DIR}/${FILE}), set RHEA_PD=host:port or pass --pd host:port or --cluster-file PATH`,
  );
}
