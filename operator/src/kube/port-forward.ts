/** Tunnels to a port of a pod, through the API server. */
import type { Duplex } from "node:stream";
import { PassThrough } from "node:stream";
import { PortForward } from "@kubernetes/client-node";
import { RheaError } from "@rhea/common";
import type { KubeEndpoint } from "./endpoint.js";

const OPEN_TIMEOUT_MS = 30_000;

/** The parts of client-node's web socket that are used. */
interface Tunnel {
  close(): void;
  on?(event: "close" | "error", listener: () => void): void;
}

/** Joins a stream with a port of a pod. Resolves once the tunnel stands; `close` ends both sides. */
export type PortForwarder = (
  namespace: string,
  pod: string,
  port: number,
  socket: Duplex,
) => Promise<{ close(): Promise<void> }>;

/**
 * Makes a forwarder. One tunnel carries one connection: open one per accepted socket. Bytes that the socket sends while the tunnel is
 * being made are kept. When the pod's side ends or reports an error, the socket is destroyed. Throws UNAVAILABLE when the tunnel cannot
 * be made; a port that nobody listens on shows only as a socket that closes.
 */
export function createPortForward(endpoint: KubeEndpoint): PortForwarder {
  return async (namespace, pod, port, socket) => {
    const what = `port-forward to ${namespace}/${pod}:${port}`;
    const fail = (cause: unknown): RheaError => new RheaError("UNAVAILABLE", `${what}: ${describe(cause)}`, { cause });
    const errors = new PassThrough();
    const tunnel = await withinTime(
      endpoint
        .config()
        .then((config) => new PortForward(config).portForward(namespace, pod, [port], socket, errors, socket)),
    ).catch((cause: unknown) => {
      throw fail(cause);
    });
    const end = (): void => {
      tunnel.close();
      socket.destroy();
    };
    // What the kubelet writes on the error stream ends the connection: "connection refused" in the pod.
    errors.once("data", (text: Buffer) => socket.destroy(fail(text.toString("utf8").trim())));
    tunnel.on?.("close", () => socket.destroy());
    tunnel.on?.("error", () => socket.destroy());
    socket.once("close", () => tunnel.close());
    return {
      async close() {
        end();
      },
    };
  };
}

/** Gives a tunnel that comes too late back at once. client-node has no time limit of its own. */
async function withinTime(opening: Promise<unknown>): Promise<Tunnel> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer within ${OPEN_TIMEOUT_MS} ms`));
      opening.then(
        (tunnel) => (tunnel as Tunnel).close(),
        () => undefined,
      );
    }, OPEN_TIMEOUT_MS);
  });
  try {
    return (await Promise.race([opening, late])) as Tunnel;
  } finally {
    clearTimeout(timer);
  }
}

function describe(cause: unknown): string {
  if (cause instanceof Error) return cause.message;
  if (typeof cause === "string") return cause;
  const message = (cause as { message?: unknown } | null | undefined)?.message;
  return typeof message === "string" ? message : "the web socket could not be opened";
}
