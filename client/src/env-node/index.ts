/** The client in Node: real clock, timers, randomness and gRPC. */
import type { Scheduler } from "@rhea/common";
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

function nodeEnvironment(environment: Partial<ClientEnvironment>): ClientEnvironment {
  return { net: grpcNet(), clock: nodeClock, scheduler: callScheduler, rng: nodeRng, ...environment };
}

/**
 * Connects to a cluster: resolves once it answers a first route lookup.
 *
 * @throws RheaError INVALID_ARGUMENT for wrong options, CLUSTER_MISMATCH, DEADLINE_EXCEEDED with the cause when nobody answers within `timeoutMs`.
 */
export async function connect(
  options: ConnectOptions,
  environment: Partial<ClientEnvironment> = {},
): Promise<RheaClient> {
  const client = createClient(options, nodeEnvironment(environment));
  try {
    await client.ready();
  } catch (error) {
    await client.close();
    throw error;
  }
  return client;
}

/** Makes the administration alone: no store is connected. Throws INVALID_ARGUMENT for wrong options. */
export function connectAdmin(
  options: Pick<ConnectOptions, "clusterId" | "timeoutMs"> & { readonly pd: readonly string[] },
  environment: Partial<ClientEnvironment> = {},
): Admin {
  return createAdmin(options, nodeEnvironment(environment));
}
