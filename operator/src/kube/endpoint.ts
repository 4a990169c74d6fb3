/** Where the API server is and how this process proves who it is. The one place that reads kubeconfig files and tokens. */
import { readFile } from "node:fs/promises";
import { existsSync, readFileSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { RheaError } from "@rhea/common";
import { parse } from "yaml";

const SERVICE_ACCOUNT_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/** What one request needs. */
export interface KubeConnection {
  /** Authorization and impersonation headers. */
  readonly headers: Readonly<Record<string, string>>;
  /** Keep-alive agent with CA and client certificate. */
  readonly agent: http.Agent;
}

/** An API server and credentials for it. */
export interface KubeEndpoint {
  /** Base URL without a slash at the end. */
  readonly server: string;
  /** Name of the kubeconfig context, or `inClusterContext`. */
  readonly context: string;
  /** Namespace of the context, or of the pod's service account. Default `default`. */
  readonly namespace: string;
  /**
   * Returns headers and agent for one request. Token files are read anew each time (projected tokens rotate). `refresh`: the last
   * credentials were refused, so kubeconfig files are read again and credential plugins run again.
   */
  connect(refresh?: boolean): Promise<KubeConnection>;
  /** For code below `operator/src/kube`: client-node's view of the same endpoint, with a fresh token. */
  config(): Promise<KubeConfig>;
  /** Closes kept connections. */
  close(): void;
}

interface Loaded {
  readonly config: KubeConfig;
  /** User name -> file with a bearer token. */
  readonly tokenFiles: ReadonlyMap<string, string>;
}

/**
 * Finds the API server as kubectl does: `kubeconfig` (a path), else `$KUBECONFIG` (a list of paths, merged), else `~/.kube/config`,
 * else the service account of the pod. `context` defaults to the current one. Throws INVALID_CONFIG when there is none, when a file
 * cannot be read or when the context does not exist.
 */
export function loadKubeConfig(
  options: { readonly kubeconfig?: string; readonly context?: string } = {},
): KubeEndpoint {
  let loaded = load(options.kubeconfig, options.context);
  const cluster = loaded.config.getCurrentCluster();
  if (cluster === null) throw new RheaError("INVALID_CONFIG", "kubeconfig: the current context names no known cluster");
  const server = cluster.server.replace(/\/+$/, "");
  const context = loaded.config.getCurrentContext();
  const agents = createAgentCache(server);
  return {
    server,
    context,
    namespace: loaded.config.getContextObject(context)?.namespace ?? "default",
    async connect(refresh = false) {
      if (refresh) loaded = load(options.kubeconfig, options.context);
      const request: https.RequestOptions = {};
      try {
        await loaded.config.applyToHTTPSOptions(request);
      } catch (cause) {
        throw new RheaError("INVALID_CONFIG", `kubeconfig context ${context}: ${messageOf(cause)}`, { cause });
      }
      const headers = headersOf(request);
      const token = await bearerToken(loaded);
      if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
      return { headers, agent: agents.agentFor(request, loaded.config.getCurrentCluster()?.proxyUrl !== undefined) };
    },
    async config() {
      const token = await bearerToken(loaded);
      return token === undefined ? loaded.config : withToken(loaded.config, token);
    },
    close: () => agents.close(),
  };
}

function load(kubeconfig: string | undefined, context: string | undefined): Loaded {
  const fromEnvironment = (process.env["KUBECONFIG"] ?? "").split(delimiter).filter((file) => file !== "");
  const home = join(homedir(), ".kube", "config");
  const files =
    kubeconfig !== undefined
      ? [kubeconfig]
      : fromEnvironment.length > 0
        ? fromEnvironment
        : existsSync(home)
          ? [home]
          : undefined;
  const loaded = files === undefined ? loadInCluster() : loadFiles(files);
  if (context !== undefined) loaded.config.setCurrentContext(context);
  const name = loaded.config.getCurrentContext();
  if (loaded.config.getContextObject(name) === null) {
    const known = loaded.config.getContexts().map((row) => row.name);
    throw new RheaError(
      "INVALID_CONFIG",
      `kubeconfig: there is no context "${name}"; known: ${known.join(", ") || "none"}`,
    );
  }
  return loaded;
}

function loadInCluster(): Loaded {
  const config = new KubeConfig();
  if (!existsSync(SERVICE_ACCOUNT_TOKEN) || process.env["KUBERNETES_SERVICE_HOST"] === undefined) {
    throw new RheaError(
      "INVALID_CONFIG",
      "no Kubernetes to talk to: there is no ~/.kube/config and no service account; set KUBECONFIG or pass a kubeconfig",
    );
  }
  config.loadFromCluster();
  const user = config.getCurrentUser();
  return {
    config: withToken(config, ""),
    tokenFiles: new Map(user === null ? [] : [[user.name, SERVICE_ACCOUNT_TOKEN]]),
  };
}

function loadFiles(files: readonly string[]): Loaded {
  const parts: KubeConfig[] = [];
  const tokenFiles = new Map<string, string>();
  for (const file of files) {
    const path = resolve(file);
    try {
      const part = new KubeConfig();
      part.loadFromFile(path);
      parts.push(part);
      for (const [user, tokenFile] of tokenFilesOf(readFileSync(path, "utf8"))) {
        if (!tokenFiles.has(user)) tokenFiles.set(user, resolve(dirname(path), tokenFile));
      }
    } catch (cause) {
      throw new RheaError("INVALID_CONFIG", `kubeconfig ${path}: ${messageOf(cause)}`, { cause });
    }
  }
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: firstOfEachName(parts.flatMap((part) => part.getClusters())),
    contexts: firstOfEachName(parts.flatMap((part) => part.getContexts())),
    users: firstOfEachName(parts.flatMap((part) => part.getUsers())),
    currentContext: parts.map((part) => part.getCurrentContext()).find(Boolean) ?? "",
  });
  announceToPlugins(config);
  return { config, tokenFiles };
}

/** Merges as kubectl does: of two entries with one name, the one of the earlier file counts. */
function firstOfEachName<T extends { readonly name: string }>(rows: readonly T[]): T[] {
  return [...new Map(rows.toReversed().map((row) => [row.name, row])).values()].toReversed();
}

/** Reads `tokenFile` of each user: client-node 1.4 knows only a misspelt form of it. */
function tokenFilesOf(text: string): [string, string][] {
  const content = parse(text) as { users?: { name?: string; user?: { tokenFile?: string } | null }[] | null } | null;
  return (content?.users ?? []).flatMap(({ name, user }) =>
    name !== undefined && typeof user?.tokenFile === "string" ? [[name, user.tokenFile] as [string, string]] : [],
  );
}

/** Tells credential plugins which protocol is spoken (KUBERNETES_EXEC_INFO); client-node 1.4 leaves it out and some need it. */
function announceToPlugins(config: KubeConfig): void {
  for (const user of config.getUsers()) {
    const exec = user.exec as
      { apiVersion?: string; env?: { name: string; value: string }[] | null } | null | undefined;
    if (exec === null || exec === undefined) continue;
    const info = { apiVersion: exec.apiVersion, kind: "ExecCredential", spec: { interactive: false } };
    exec.env = [...(exec.env ?? []), { name: "KUBERNETES_EXEC_INFO", value: JSON.stringify(info) }];
  }
}

async function bearerToken(loaded: Loaded): Promise<string | undefined> {
  const user = loaded.config.getCurrentUser();
  const file = user === null ? undefined : loaded.tokenFiles.get(user.name);
  if (file === undefined) return undefined;
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (cause) {
    throw new RheaError("INVALID_CONFIG", `token file ${file}: ${messageOf(cause)}`, { cause });
  }
}

/** Copies a configuration with a fixed token in place of its user's own way to get one; an empty token means none. */
function withToken(config: KubeConfig, token: string): KubeConfig {
  const copy = new KubeConfig();
  const current = config.getCurrentUser()?.name;
  copy.loadFromOptions({
    clusters: config.getClusters(),
    contexts: config.getContexts(),
    currentContext: config.getCurrentContext(),
    users: config.getUsers().map((user) => {
      if (user.name !== current) return user;
      const {
        authProvider: _,
        token: __,
        ...rest
      } = user as Omit<typeof user, "authProvider"> & { authProvider?: unknown };
      return token === "" ? rest : { ...rest, token };
    }),
  });
  return copy;
}

function headersOf(request: https.RequestOptions): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers ?? {})) {
    if (typeof value === "string") headers[name.toLowerCase()] = value;
  }
  if (typeof request.auth === "string") {
    headers["authorization"] = `Basic ${Buffer.from(request.auth, "utf8").toString("base64")}`;
  }
  return headers;
}

/** One agent per set of TLS settings, so that connections are kept until a CA or certificate really changes. */
function createAgentCache(server: string): {
  agentFor(request: https.RequestOptions, isProxied: boolean): http.Agent;
  close(): void;
} {
  let current: { readonly fingerprint: string; readonly agent: http.Agent } | undefined;
  return {
    agentFor(request, isProxied) {
      const { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized } = request;
      const fingerprint = JSON.stringify([ca, cert, key, pfx, passphrase, servername, rejectUnauthorized].map(asText));
      if (current?.fingerprint === fingerprint) return current.agent;
      const tls = definedOnly({ ca, cert, key, pfx, passphrase, servername, rejectUnauthorized });
      const agent =
        isProxied && request.agent instanceof http.Agent
          ? request.agent
          : server.startsWith("http:")
            ? new http.Agent({ keepAlive: true })
            : new https.Agent({ keepAlive: true, ...tls });
      // The old agent is not destroyed: requests on it may run; its idle connections are closed by the server.
      current = { fingerprint, agent };
      return agent;
    },
    close() {
      current?.agent.destroy();
      current = undefined;
    },
  };
}

function asText(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString("base64") : String(value);
}

function definedOnly(options: Record<string, unknown>): https.AgentOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
