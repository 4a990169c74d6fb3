/** One RheaCluster as specs see it: its object, its parts, and clients that talk to it. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Admin, ConnectOptions, RheaClient } from "@rhea/client";
import { connect, connectAdmin } from "@rhea/client/env-node";
import type { TlsFiles } from "@rhea/common";
import { glance } from "./dump.js";
import type { Condition, KubeObject, Pod, Secret } from "./kinds.js";
import type { Lane } from "./lane.js";
import { until } from "./wait.js";

const SECRET_LOOK_MS = 2_000;
const TLS_FILES = ["ca.crt", "tls.crt", "tls.key"] as const;
/** Where pods of the harness have the client's Secret. */
const CLIENT_MOUNT = "/etc/rhea/tls";

/** One store in the status. */
export interface StoreStatus {
  readonly name: string;
  readonly id?: number;
  readonly state?: string;
  readonly ready?: boolean;
  readonly leaders?: number;
  readonly regions?: number;
  readonly pendingPeers?: number;
  readonly drainedRatio?: number | string;
}

/** A RheaCluster, as far as specs look into it. */
export interface RheaClusterObject extends KubeObject {
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: {
    readonly observedGeneration?: number;
    readonly conditions?: readonly Condition[];
    readonly stores?: readonly StoreStatus[];
    readonly regions?: { readonly total?: number; readonly underReplicated?: number; readonly noQuorum?: number };
    readonly replicas?: number;
    readonly selector?: string;
    readonly plan?: readonly unknown[];
    readonly endpoints?: unknown;
    readonly pd?: unknown;
  };
}

/** A RheaStore, as far as specs look into it. */
export interface RheaStoreObject extends KubeObject {
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: {
    readonly storeId?: number;
    readonly state?: string;
    readonly ready?: boolean;
    readonly leaders?: number;
    readonly regions?: number;
    readonly node?: string;
    readonly message?: string;
  };
}

function clusterIdOf(secret: Secret | undefined): number {
  return Number(Buffer.from(secret?.data?.["clusterId"] ?? "", "base64").toString());
}

/** The condition of a type, if it is there. */
export function conditionOf(object: RheaClusterObject | undefined, type: string): Condition | undefined {
  return object?.status?.conditions?.find((condition) => condition.type === type);
}

/** See the file's header. Made by `lane.rheaCluster(name)`. */
export class RheaClusterHandle {
  readonly #lane: Lane;
  readonly #clients: RheaClient[] = [];
  readonly #admins: Admin[] = [];
  #tlsFolder: string | undefined;
  #look: NodeJS.Timeout | undefined;
  readonly name: string;

  constructor(lane: Lane, name: string) {
    this.#lane = lane;
    this.name = name;
  }

  /** Applies the RheaCluster server-side with this spec. */
  async apply(
    spec: object,
    { annotations, dryRun = false }: { readonly annotations?: Record<string, string>; readonly dryRun?: boolean } = {},
  ): Promise<RheaClusterObject> {
    const metadata = { name: this.name, ...(annotations === undefined ? {} : { annotations }) };
    const object = { apiVersion: "rheakv.io/v1alpha1", kind: "RheaCluster", metadata, spec };
    return this.#lane.apply<RheaClusterObject>(object, { dryRun });
  }

  get(): Promise<RheaClusterObject | undefined> {
    return this.#lane.get<RheaClusterObject>("RheaCluster", this.name);
  }

  /** Waits until the RheaCluster passes a test; the failure shows its status, the pods and the last events. */
  until(what: string, test: (cluster: RheaClusterObject) => boolean, timeoutMs: number): Promise<RheaClusterObject> {
    const ask = async () => {
      const cluster = await this.get();
      return cluster !== undefined && test(cluster) ? cluster : undefined;
    };
    return until(`${this.name}: ${what}`, ask, timeoutMs, { describe: () => this.#describe() });
  }

  /** Waits for a condition, of the present generation. */
  untilCondition(type: string, status: Condition["status"], timeoutMs: number): Promise<RheaClusterObject> {
    return this.until(
      `condition ${type} is ${status}`,
      (cluster) =>
        cluster.status?.observedGeneration === cluster.metadata.generation &&
        conditionOf(cluster, type)?.status === status,
      timeoutMs,
    );
  }

  /** Waits until what was applied last is Ready and nothing is left to do. */
  untilReady(timeoutMs: number): Promise<RheaClusterObject> {
    return this.until(
      "is Ready and not Reconciling",
      (cluster) =>
        cluster.status?.observedGeneration === cluster.metadata.generation &&
        conditionOf(cluster, "Ready")?.status === "True" &&
        conditionOf(cluster, "Reconciling")?.status !== "True",
      timeoutMs,
    );
  }

  /** Deletes the RheaCluster and waits until it and all its pods are gone. */
  async remove(timeoutMs = 60_000): Promise<void> {
    await this.#lane.remove("RheaCluster", this.name, { waitMs: timeoutMs });
    const isGone = async () => (await this.pods()).length === 0;
    await until(`${this.name}: all pods are gone`, isGone, timeoutMs, { describe: () => this.#describe() });
  }

  /** Its RheaStores, by name. */
  stores(): Promise<RheaStoreObject[]> {
    return this.#lane.list<RheaStoreObject>("RheaStore", `rheakv.io/cluster=${this.name}`);
  }

  /** Its pods, of one component or of both. */
  pods(component?: "store" | "pd"): Promise<Pod[]> {
    const labels = `rheakv.io/cluster=${this.name}`;
    return this.#lane.list<Pod>(
      "Pod",
      component === undefined ? labels : `${labels},app.kubernetes.io/component=${component}`,
    );
  }

  /** The address of its placement driver for clients. */
  get pdAddress(): string {
    return `${this.name}-pd.${this.#lane.namespace}.svc:7400`;
  }

  /** Connects a client, with TLS as an application would have it. Closed with the lane. */
  async connect(options: Partial<ConnectOptions> = {}): Promise<RheaClient> {
    const client = await connect({ pd: [this.pdAddress], ...(await this.#access()), ...options });
    this.#clients.push(client);
    return client;
  }

  /** The administration, with TLS as an application would have it. Closed with the lane. */
  async admin(): Promise<Admin> {
    const admin = connectAdmin({ pd: [this.pdAddress], ...(await this.#access()) });
    this.#admins.push(admin);
    return admin;
  }

  /** Runs `rheactl` in a pod of its own, as an application in the cluster: with the client's Secret mounted. */
  async rheactl(
    args: readonly string[],
    pod = `rheactl-${this.name}`,
  ): Promise<{ readonly code: number; readonly out: string }> {
    const secret = await this.#lane.get<Secret>("Secret", `${this.name}-client`);
    const [ca, cert, key] = TLS_FILES.map((file) => `${CLIENT_MOUNT}/${file}`);
    const tls = { RHEA_CA_FILE: String(ca), RHEA_CERT_FILE: String(cert), RHEA_KEY_FILE: String(key) };
    const hasTls = secret?.data?.["ca.crt"] !== undefined;
    return this.#lane.run(pod, ["rheactl", ...args], {
      env: { RHEA_PD: this.pdAddress, RHEA_CLUSTER_ID: String(clusterIdOf(secret)), ...(hasTls ? tls : {}) },
      ...(hasTls ? { secrets: { [secret.metadata.name]: CLIENT_MOUNT } } : {}),
    });
  }

  /** Closes the clients. Called by the lane. */
  async close(): Promise<void> {
    clearInterval(this.#look);
    for (const client of this.#clients.splice(0)) await client.close();
    for (const admin of this.#admins.splice(0)) admin.close();
    if (this.#tlsFolder !== undefined) rmSync(this.#tlsFolder, { recursive: true, force: true });
  }

  /**
   * The cluster's id, and the files of the client's Secret, kept up to date as a kubelet would; none where the cluster has no TLS. The Secret
   * is waited for.
   */
  async #access(): Promise<Pick<ConnectOptions, "clusterId"> & { readonly tls?: TlsFiles }> {
    const name = `${this.name}-client`;
    const secret = await until(`Secret ${name}`, () => this.#lane.get<Secret>("Secret", name), 30_000);
    const clusterId = clusterIdOf(secret);
    if (secret.data?.["ca.crt"] === undefined) return { clusterId };
    const folder = (this.#tlsFolder ??= mkdtempSync(join(tmpdir(), "rhea-client-")));
    let version = "";
    const take = ({ metadata, data = {} }: Secret) => {
      if (metadata.resourceVersion === version) return;
      version = metadata.resourceVersion ?? "";
      for (const file of TLS_FILES) {
        writeFileSync(join(folder, `${file}.new`), Buffer.from(data[file] ?? "", "base64"), { mode: 0o600 });
        renameSync(join(folder, `${file}.new`), join(folder, file));
      }
    };
    take(secret);
    this.#look ??= setInterval(() => {
      this.#lane.get<Secret>("Secret", name).then(
        (now) => now !== undefined && take(now),
        () => undefined, // the next look will tell
      );
    }, SECRET_LOOK_MS).unref();
    const [caFile, certFile, keyFile] = TLS_FILES.map((file) => join(folder, file));
    return { clusterId, tls: { caFile: String(caFile), certFile: String(certFile), keyFile: String(keyFile) } };
  }

  async #describe(): Promise<string> {
    const { status } = (await this.get()) ?? {};
    return `status: ${JSON.stringify(status ?? "(absent)", null, 1)}\n${await glance(this.#lane.namespace)}`;
  }
}
