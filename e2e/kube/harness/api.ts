/**
 * The API server through one `kubectl proxy` per process: it knows every way to log in that a KUBECONFIG can name, and asking costs no new
 * program each time. Called by lanes; specs use the lane's calls.
 */
import { spawn } from "node:child_process";
import { Agent, request } from "node:http";
import { pathOf, type Kind, type KubeObject } from "./kinds.js";

/** What the API server answered instead of what was asked for. */
export class KubeApiError extends Error {
  /** HTTP status. */
  readonly status: number;
  readonly reason: string;

  constructor(method: string, path: string, status: number, body: string) {
    const parsed = parse(body) as { message?: string; reason?: string } | undefined;
    super(`${method} ${path}: ${status} ${parsed?.message ?? body}`);
    this.name = "KubeApiError";
    this.status = status;
    this.reason = parsed?.reason ?? "";
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const agent = new Agent({ keepAlive: true });
let proxy: Promise<number> | undefined;

/** Starts the proxy at its first use; it ends with this process. */
function proxyPort(): Promise<number> {
  return (proxy ??= new Promise((resolve, reject) => {
    const child = spawn("kubectl", ["proxy", "--port=0"], { stdio: ["ignore", "pipe", "inherit"] });
    process.once("exit", () => child.kill("SIGKILL"));
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      const port = /127\.0\.0\.1:(\d+)/.exec(said)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
    child.once("error", reject);
    child.once("exit", (code) => {
      proxy = undefined;
      reject(new Error(`kubectl proxy ended with ${code ?? "a signal"}`));
    });
    child.unref();
    (child.stdout as unknown as { unref(): void }).unref();
  }));
}

interface Call {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE" | "PUT";
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
}

/** One call; the answer's text. Throws {@link KubeApiError}. */
async function call({ method, path, body, contentType = "application/json" }: Call): Promise<string> {
  const port = await proxyPort();
  const content = body === undefined ? undefined : JSON.stringify(body);
  return await new Promise((resolve, reject) => {
    // Node itself tells no length for the body of a DELETE.
    const headers =
      content === undefined ? {} : { "content-type": contentType, "content-length": Buffer.byteLength(content) };
    const outgoing = request({ host: "127.0.0.1", port, method, path, agent, headers, timeout: 30_000 }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.once("error", reject);
      answer.once("end", () => {
        const text = Buffer.concat(chunks).toString();
        const status = answer.statusCode ?? 0;
        if (status < 300) resolve(text);
        else reject(new KubeApiError(method, path, status, text));
      });
    });
    outgoing.once("timeout", () => outgoing.destroy(new Error(`${method} ${path}: no answer within 30 s`)));
    outgoing.once("error", reject);
    outgoing.end(content);
  });
}

async function json<T>(what: Call): Promise<T> {
  return JSON.parse(await call(what)) as T;
}

/** Reads any path of the API server, as text. */
export function getRaw(path: string): Promise<string> {
  return call({ method: "GET", path });
}

/** Reads an object; undefined where there is none. */
export async function getObject<T extends KubeObject>(
  kind: Kind,
  namespace: string,
  name: string,
): Promise<T | undefined> {
  try {
    return await json<T>({ method: "GET", path: pathOf(kind, namespace, name) });
  } catch (error) {
    if (error instanceof KubeApiError && error.status === 404) return undefined;
    throw error;
  }
}

/** Lists a kind's objects. `labels`: a label selector. */
export async function listObjects<T extends KubeObject>(kind: Kind, namespace: string, labels = ""): Promise<T[]> {
  const query = labels === "" ? "" : `?labelSelector=${encodeURIComponent(labels)}`;
  return (await json<{ items: T[] }>({ method: "GET", path: `${pathOf(kind, namespace)}${query}` })).items;
}

/** Options of a server-side apply. */
export interface ApplyOptions {
  /** Default "e2e". */
  readonly fieldManager?: string;
  /** Whether fields of other managers are taken over; default true. */
  readonly force?: boolean;
  /** Whether the API server only checks; default false. */
  readonly dryRun?: boolean;
}

/** Applies an object server-side. */
export function applyObject<T extends KubeObject>(
  kind: Kind,
  namespace: string,
  object: KubeObject,
  { fieldManager = "e2e", force = true, dryRun = false }: ApplyOptions = {},
): Promise<T> {
  const query = `fieldManager=${fieldManager}&force=${String(force)}${dryRun ? "&dryRun=All" : ""}`;
  const path = `${pathOf(kind, namespace, object.metadata.name)}?${query}`;
  return json({ method: "PATCH", path, body: object, contentType: "application/apply-patch+yaml" });
}

/** Creates an object; it must not exist. */
export function createObject<T extends KubeObject>(kind: Kind, namespace: string, object: object): Promise<T> {
  return json({ method: "POST", path: pathOf(kind, namespace), body: object });
}

/** Changes fields by a JSON merge patch. */
export function patchObject<T extends KubeObject>(
  kind: Kind,
  namespace: string,
  name: string,
  patch: unknown,
  subresource?: string,
): Promise<T> {
  const path = pathOf(kind, namespace, name) + (subresource === undefined ? "" : `/${subresource}`);
  return json({ method: "PATCH", path, body: patch, contentType: "application/merge-patch+json" });
}

/** Deletes an object; fine where there is none. */
export async function deleteObject(
  kind: Kind,
  namespace: string,
  name: string,
  gracePeriodSeconds?: number,
): Promise<void> {
  const body = gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds };
  try {
    await call({ method: "DELETE", path: pathOf(kind, namespace, name), body });
  } catch (error) {
    if (!(error instanceof KubeApiError) || error.status !== 404) throw error;
  }
}
