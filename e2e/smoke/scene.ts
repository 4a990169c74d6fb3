import { mkdtempSync, cpSync, rmSync, writeFileSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Admin, RheaClient } from "@rhea/client";
import { connect } from "@rhea/client/env-node";
import { startLocalCluster, type LocalCluster, type LocalStatus, type ProcessRow } from "@rhea/operator/env-node";

/** What the cluster file of the smoke test can say. */
export interface Wanted {
  readonly stores: number;
  /** Default: the cluster's. */
  readonly operationLimit?: number;
}

/** A cluster in a temporary directory, with the means to look at it. */
export interface Scene {
  cluster(): LocalCluster;
  /** A client that follows the cluster wherever it goes; made anew after a stop. */
  client(): Promise<RheaClient>;
  admin(): Promise<Admin>;
  /** Edits the cluster file. */
  want(wanted: Wanted): void;
  /** Writes the cluster file as it is given. */
  write(text: string): void;
  /** Starts the cluster, or takes over the processes that run. */
  start(): Promise<void>;
  /** Ends the operator alone; the processes run on. */
  letGo(): Promise<void>;
  stop(): Promise<void>;
  /** Ends every process and removes the directory. With `keepLogs` the logs are put aside first; returns where. */
  cleanUp(keepLogs: boolean): Promise<string | undefined>;
}

/** Sets the scene; nothing runs yet. */
export function createScene(first: Wanted): Scene {
  const folder = mkdtempSync(join(tmpdir(), "rhea-smoke-"));
  const file = join(folder, "rheacluster.yaml");
  const dataDir = join(folder, "data");
  const events: string[] = [];
  let cluster: LocalCluster | undefined;
  let client: RheaClient | undefined;

  const running = (): LocalCluster => {
    if (cluster === undefined) throw new Error("the cluster has not been started");
    return cluster;
  };
  const want = (wanted: Wanted) => writeFileSync(file, clusterFile(wanted));
  const closeClient = async () => {
    const open = client;
    client = undefined;
    await open?.close();
  };
  const getClient = async () => (client ??= await connect({ pd: running().status().pd }));
  want(first);
  return {
    cluster: running,
    client: getClient,
    admin: async () => (await getClient()).admin,
    want,
    async start() {
      const onEvent = (line: string) => void events.push(`${new Date().toISOString()} ${line}`);
      cluster = await startLocalCluster({ dataDir, source: { file }, ports: "free", onEvent });
    },
    write: (text) => writeFileSync(file, text),
    async letGo() {
      await closeClient();
      await cluster?.detach();
    },
    async stop() {
      await closeClient();
      await cluster?.stop();
      cluster = undefined;
    },
    async cleanUp(keepLogs) {
      const processes = cluster?.status().processes ?? [];
      try {
        await closeClient();
        await cluster?.stop();
      } finally {
        for (const { pid } of processes) killIfThere(pid);
      }
      const kept = keepLogs ? mkdtempSync(join(tmpdir(), "rhea-smoke-logs-")) : undefined;
      if (kept !== undefined) {
        if (existsSync(join(dataDir, "logs"))) cpSync(join(dataDir, "logs"), kept, { recursive: true });
        writeFileSync(join(kept, "operator.log"), `${events.join("\n")}\n`);
      }
      rmSync(folder, { recursive: true, force: true });
      return kept;
    },
  };
}

function clusterFile({ stores, operationLimit }: Wanted): string {
  return [
    "apiVersion: rheakv.io/v1alpha1",
    "kind: RheaCluster",
    "metadata:",
    "  name: smoke",
    "spec:",
    "  stores:",
    `    replicas: ${stores}`,
    ...(operationLimit === undefined ? [] : ["  config:", `    schedule: { operationLimit: ${operationLimit} }`]),
    "",
  ].join("\n");
}

/** After an orderly stop nothing is left; this is for the other case. */
function killIfThere(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The rows of the stores. */
export function storesOf(status: LocalStatus): readonly ProcessRow[] {
  return status.processes.filter(({ role }) => role === "store");
}

/** The store that leads most regions. */
export function busiestStore(status: LocalStatus): ProcessRow {
  const [busiest] = [...storesOf(status)].sort((a, b) => (b.leaders ?? 0) - (a.leaders ?? 0));
  if (busiest === undefined) throw new Error("there is no store");
  return busiest;
}

/** Waits until every region has this many healthy peers, none more, and returns the number of regions. */
export async function untilHealthy(admin: Admin, peers: number, timeoutMs: number): Promise<number> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const { count, unwell } = await unwellRegions(admin, peers);
    if (unwell.length === 0) return count;
    if (performance.now() > deadline) throw new Error(unwell.join("; "));
    await new Promise((resolve) => setTimeout(resolve, 100)); // a move for balance has a fourth peer for a moment
  }
}

async function unwellRegions(admin: Admin, peers: number): Promise<{ count: number; unwell: readonly string[] }> {
  const { routes, health } = await admin.regions({ withHealth: true });
  const unwell = routes.flatMap(({ region }) => {
    const own = health.find(({ regionId }) => regionId === region?.regionId);
    const healthy = (region?.peers.length ?? 0) - (own?.downPeerIds.length ?? 0) - (own?.pendingPeerIds.length ?? 0);
    if (healthy === peers && own?.fullyReplicated === true) return [];
    return [`region ${region?.regionId ?? 0} has ${healthy} healthy peers, wanted ${peers}`];
  });
  return { count: routes.length, unwell };
}
