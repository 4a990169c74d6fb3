/** Runs `rheactl`'s commands against a cluster in Kubernetes, through a tunnel and with the cluster's client certificate. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RheaError } from "@rhea/common";
import type { Admin, RheaClient } from "@rhea/client";
import { RESOURCES } from "@rhea/operator/kube";
import type { CliEnvironment, Target } from "../environment.js";
import { runCli } from "../program.js";
import { findRheaCluster, listPods, type FoundCluster, type KubeAccess } from "./cluster-objects.js";
import type { PluginContext } from "./context.js";
import { openTunnel } from "./tunnel.js";

const PD_PORT = 7400;
const STORE_PORT = 7410;

/** A cluster that commands can be run against. */
export interface ClusterConnection {
  /** Runs one command line of `rheactl`; connections are kept for the next one. Returns its exit code. */
  run(args: readonly string[]): Promise<number>;
  close(): Promise<void>;
}

/** Reads the cluster's addresses and client certificate and opens a tunnel; nothing is connected before a command needs it. */
export async function connectCluster(context: PluginContext, name: string): Promise<ClusterConnection> {
  const { kube, cli } = context;
  const cluster = await findRheaCluster(kube, name);
  const { pd, stores } = await addressesOf(kube, cluster);
  const tls = await clientCertificate(kube, cluster);
  const tunnel = openTunnel(
    (pod, port, socket) => kube.forward(pod, port, socket),
    (address, error) => cli.stderr.write(`tunnel to ${address}: ${RheaError.from(error).message}\n`),
  );
  const target: Target = {
    pd,
    stores,
    clusterId: cluster.status.clusterId ?? 1,
    tls: tls?.files,
    dial: (address) => tunnel.dial(address),
    timeoutMs: context.timeoutMs,
  };
  const kept = keepConnections(cli, target);
  const shown = context.output === "json" ? ["-o", "json"] : [];
  return {
    run: (args) =>
      runCli(
        [
          "--pd",
          pd.join(","),
          "--cluster-id",
          String(target.clusterId),
          "--timeout",
          String(context.timeoutMs),
          ...shown,
          ...args,
        ],
        {
          ...cli,
          connect: () => kept.client(),
          connectAdmin: () => kept.admin(),
        },
      ),
    async close() {
      await kept.close();
      tunnel.close();
      tls?.remove();
    },
  };
}

/** One client and one admin for all commands: closing them is the connection's, not a command's. */
function keepConnections(cli: CliEnvironment, target: Target) {
  let client: Promise<RheaClient> | undefined;
  let admin: Promise<Admin> | undefined;
  const lent = <T extends object>(owned: T, close: () => unknown): T =>
    new Proxy(owned, { get: (of, key) => (key === "close" ? close : bound(of, key)) });
  return {
    async client(): Promise<RheaClient> {
      client ??= cli.connect(target);
      client.catch(() => (client = undefined)); // the next command tries anew
      return lent(await client, () => Promise.resolve());
    },
    async admin(): Promise<Admin> {
      admin ??= cli.connectAdmin(target);
      admin.catch(() => (admin = undefined));
      return lent(await admin, () => undefined);
    },
    async close(): Promise<void> {
      await (await client?.catch(() => undefined))?.close();
      (await admin?.catch(() => undefined))?.close();
    },
  };
}

function bound(of: object, key: string | symbol): unknown {
  const value: unknown = Reflect.get(of, key, of);
  return typeof value === "function" ? (value.bind(of) as unknown) : value;
}

/** The members' own addresses: a tunnel leads to one pod each. */
async function addressesOf(kube: KubeAccess, cluster: FoundCluster) {
  const pods = await listPods(kube, cluster);
  const addressesWith = (component: string, port: number) =>
    pods
      .filter(({ metadata }) => metadata?.labels?.["app.kubernetes.io/component"] === component)
      .filter(({ status }) => status?.phase === "Running")
      .map(({ metadata, spec }) => `${metadata?.name ?? ""}.${spec?.subdomain ?? ""}.${cluster.namespace}.svc:${port}`);
  const pd = addressesWith("pd", PD_PORT);
  if (pd.length === 0) {
    throw new RheaError(
      "UNAVAILABLE",
      `cluster ${cluster.name}: no pod of its placement driver runs: kubectl rhea explain ${cluster.name} tells why`,
    );
  }
  return { pd, stores: addressesWith("store", STORE_PORT) };
}

/** Writes the client certificate to files that only this user reads; undefined for a cluster without TLS. */
async function clientCertificate(kube: KubeAccess, { name, namespace, object }: FoundCluster) {
  if (object.spec.tls?.enabled === false) return undefined;
  const secretName = `${name}-client`;
  const secret = await kube.client.find(RESOURCES.secrets, { namespace, name: secretName });
  const [ca, cert, key] = ["ca.crt", "tls.crt", "tls.key"].map((entry) => secret?.data?.[entry]);
  if (ca === undefined || cert === undefined || key === undefined) {
    throw new RheaError(
      "NOT_FOUND",
      `Secret ${namespace}/${secretName} has no client certificate yet: the operator makes it with the cluster`,
    );
  }
  const directory = mkdtempSync(join(tmpdir(), "rhea-tls-")); // mode 0700
  const write = (file: string, data: string) => {
    const path = join(directory, file);
    writeFileSync(path, Buffer.from(data, "base64"), { mode: 0o600 });
    return path;
  };
  return {
    files: { caFile: write("ca.crt", ca), certFile: write("tls.crt", cert), keyFile: write("tls.key", key) },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
