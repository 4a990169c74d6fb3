/** The client in Node: real clock, timers, randomness and gRPC. */
import { RheaError, type Scheduler, type TlsFiles } from "@rhea/common";
import { grpcNet, nodeClock, nodeRng } from "@rhea/common/env-node";
import { createAdmin, createClient, type ClientEnvironment, type RheaClient } from "../client.js";
import type { Admin } from "../admin/admin.js";
import type { ConnectOptions } from "../options.js";

/** Timers that keep the process alive: the client sets them only while a call is outstanding, and a caller awaits it. */
const callScheduler: Scheduler = {
  setTimer(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return {
      cancel: () => {
        clearTimeout(timer);
      },
    };
  },
  nextTurn(run) {
    setImmediate(run);
  },
};

/** How a client in Node connects. */
export interface Connection {
  /** Mutual TLS: the cluster's CA, your certificate and key. The files are read again when they change. Absent: plain text. */
  readonly tls?: TlsFiles | undefined;
  /**
   * For tunnels: the address to really connect to for one of the cluster's. Certificates are checked, and messages speak, by the cluster's.
   * Asked before each connection; default: the same.
   */
  readonly dial?: ((address: string) => string) | undefined;
}

function nodeEnvironment({ tls, dial }: Connection, environment: Partial<ClientEnvironment>): ClientEnvironment {
  if (environment.net !== undefined && (tls !== undefined || dial !== undefined)) {
    throw new RheaError("INVALID_ARGUMENT", "options tls and dial belong to the network of Node, but another is given");
  }
  const net = environment.net ?? grpcNet({ tls, dial });
  return { clock: nodeClock, scheduler: callScheduler, rng: nodeRng, ...environment, net };
}

/**
 * Connects to a cluster: resolves once it answers a first route lookup.
 *
 * @throws RheaError INVALID_ARGUMENT for wrong options, INVALID_CONFIG for TLS files that are no good, CLUSTER_MISMATCH, DEADLINE_EXCEEDED
 * with the cause when nobody answers within `timeoutMs`.
 */
export async function connect(
  options: ConnectOptions & Connection,
  environment: Partial<ClientEnvironment> = {},
): Promise<RheaClient> {
  const client = createClient(options, nodeEnvironment(options, environment));
  try {
    await client.ready();
  } catch (error) {
    await client.close();
    throw error;
  }
  return client;
}

/** Makes the administration alone: no store is connected. Throws INVALID_ARGUMENT for wrong options, INVALID_CONFIG for TLS files that are no good. */
export function connectAdmin(
  options: Pick<ConnectOptions, "clusterId" | "timeoutMs"> & Connection & { readonly pd: readonly string[] },
  environment: Partial<ClientEnvironment> = {},
): Admin {
  return createAdmin(options, nodeEnvironment(options, environment));
}
