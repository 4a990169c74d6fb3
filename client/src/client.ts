/** The client put together: calls on top, sender and router below, PD at the side. */
import { RheaError, type Clock, type Net, type Rng, type Scheduler } from "@rhea/common";
import { createAdminCalls, type Admin } from "./admin/admin.js";
import { PdClient } from "./admin/pd-client.js";
import { createBatchCalls, type BatchCalls } from "./calls/batch.js";
import type { Kit } from "./calls/kit.js";
import { createMultiKeyCalls, type MultiKeyCalls } from "./calls/multi-key.js";
import { createScanCalls, type ScanCalls } from "./calls/scan.js";
import { createSingleKeyCalls, type SingleKeyCalls } from "./calls/single-key.js";
import { resolveOptions, timeoutOf, type CallOptions, type ConnectOptions } from "./options.js";
import { Router, type RouteSource } from "./routing/router.js";
import { pdRoutes, StoreRoutes } from "./routing/sources.js";
import { Sender } from "./sending/sender.js";

/** What a client takes from outside. */
export interface ClientEnvironment {
  readonly net: Net;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
}

/** Counters since the client was made. */
export interface ClientStats {
  /** Messages with operations sent to stores, and the operations in them. */
  readonly messages: number;
  readonly operations: number;
  /** Streams opened. */
  readonly streams: number;
  /** Attempts beyond the first of each operation. */
  readonly retries: number;
  /** Operations without an answer at the moment. */
  readonly outstanding: number;
  /** Route lookups asked of PD or stores, and those that brought nothing. */
  readonly lookups: number;
  readonly failedLookups: number;
  /** Client ids used for exactly-once writes. */
  readonly sessions: number;
}

/**
 * A client of one cluster. Safe to share; make one per process. Keys and values are strings (UTF-8) or bytes, values come back as Buffer.
 * Every call takes `timeoutMs`, a budget over all retries, and `signal`. Calls reject with a RheaError: INVALID_ARGUMENT, KEY_TOO_LARGE,
 * VALUE_TOO_LARGE, BATCH_TOO_LARGE before anything is sent; DEADLINE_EXCEEDED, CANCELLED and SHUTTING_DOWN with `details.maybeApplied` for
 * writes. Every write is applied at most once, however often it is retried. Calls that are not awaited may take effect in any order.
 */
export interface RheaClient extends SingleKeyCalls, MultiKeyCalls, ScanCalls, BatchCalls {
  /** Administration through PD. Calls reject with INVALID_ARGUMENT where no PD was given. */
  readonly admin: Admin;
  /** Resolves once the cluster answers a route lookup. Rejects with DEADLINE_EXCEEDED and the cause. */
  ready(options?: CallOptions): Promise<void>;
  stats(): ClientStats;
  /** Rejects what is outstanding with SHUTTING_DOWN and closes all connections. Idempotent. */
  close(): Promise<void>;
}

const READY_PAUSE_MS = 100;

async function waitReady(
  router: Router,
  env: ClientEnvironment,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const deadlineMs = env.clock.monotonicMs() + timeoutMs;
  for (;;) {
    try {
      await router.lookup("");
      return;
    } catch (thrown) {
      const error = RheaError.from(thrown);
      if (signal?.aborted === true) throw new RheaError("CANCELLED", "cancelled by the caller", { cause: error });
      if (!error.retryable && error.code !== "DEADLINE_EXCEEDED") throw error;
      if (env.clock.monotonicMs() + READY_PAUSE_MS >= deadlineMs) {
        throw new RheaError(
          "DEADLINE_EXCEEDED",
          `the cluster did not answer within ${timeoutMs} ms; last error: ${error.code}: ${error.message}`,
          { cause: error },
        );
      }
    }
    await new Promise<void>((resolve) => {
      env.scheduler.setTimer(READY_PAUSE_MS, resolve);
    });
  }
}

/** Makes a client. Nothing is connected before the first call. Throws INVALID_ARGUMENT for wrong options. */
export function createClient(options: ConnectOptions, env: ClientEnvironment): RheaClient {
  const resolved = resolveOptions(options);
  const pd = new PdClient(env, resolved.pd, resolved.clusterId);
  const storeRoutes: StoreRoutes = new StoreRoutes(env.net, () => [...resolved.stores, ...router.addresses().values()]);
  const sources: RouteSource[] = pd.isConfigured ? [pdRoutes(pd), storeRoutes] : [storeRoutes];
  const router = new Router({ clock: env.clock, sources });
  const sender = new Sender(resolved, env, router);
  const kit: Kit = { sender, router, clock: env.clock, options: resolved };
  const singleKey = createSingleKeyCalls(kit);
  return {
    ...singleKey,
    ...createMultiKeyCalls(kit),
    ...createScanCalls(kit),
    ...createBatchCalls(singleKey),
    admin: createAdminCalls(pd, resolved.timeoutMs),
    ready: async (call) => waitReady(router, env, timeoutOf(call, resolved.timeoutMs), call?.signal),
    stats: () => ({ ...sender.stats(), ...router.stats }),
    async close() {
      sender.close();
      storeRoutes.close();
      pd.close();
    },
  };
}

/** Makes the administration alone. Throws INVALID_ARGUMENT for wrong options. */
export function createAdmin(
  options: Pick<ConnectOptions, "clusterId" | "timeoutMs"> & { readonly pd: readonly string[] },
  env: ClientEnvironment,
): Admin {
  const resolved = resolveOptions(options);
  return createAdminCalls(new PdClient(env, resolved.pd, resolved.clusterId), resolved.timeoutMs);
}
