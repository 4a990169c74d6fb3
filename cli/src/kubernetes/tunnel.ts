/**
 * A way from this machine to the cluster's pods: every address that a client dials becomes a Unix socket here, and each connection to it
 * a port-forward to the pod. So the addresses that PD gives out (names that resolve in the cluster alone) work as they are, and TLS still
 * checks the pod's own name.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";

/** See the file's header. */
export interface Tunnel {
  /** The address to really connect to. Listens there from now on. */
  dial(address: string): string;
  /** Cuts all connections and removes the sockets. */
  close(): void;
}

/**
 * Opens a tunnel. `forward` carries one connection to a port of a pod; what it rejects with is handed to `onError` and ends the connection.
 */
export function openTunnel(
  forward: (pod: string, port: number, socket: Duplex) => Promise<unknown>,
  onError: (address: string, error: unknown) => void,
): Tunnel {
  const directory = mkdtempSync(join(tmpdir(), "rhea-")); // short: a socket's path has at most 104 characters
  const servers = new Map<string, { readonly path: string; readonly server: Server }>();
  const sockets = new Set<Socket>();
  return {
    dial(address) {
      const known = servers.get(address);
      if (known !== undefined) return `unix:${known.path}`;
      const path = join(directory, String(servers.size));
      const { pod, port } = podOf(address);
      const server = createServer((socket) => {
        sockets.add(socket);
        socket.on("error", () => socket.destroy());
        socket.on("close", () => sockets.delete(socket));
        forward(pod, port, socket).catch((error: unknown) => {
          onError(address, error);
          socket.destroy();
        });
      });
      server.listen(path);
      servers.set(address, { path, server });
      return `unix:${path}`;
    },
    close() {
      for (const { server } of servers.values()) server.close();
      for (const socket of sockets) socket.destroy();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** The pod behind an address such as `demo-store-0.demo-stores.ns.svc:7410`: its first label is the pod's name. */
export function podOf(address: string): { readonly pod: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  return { pod: address.slice(0, colon).split(".", 1)[0] ?? "", port: Number(address.slice(colon + 1)) };
}
