/** The connection of one operator to the simulated API server: a KubeClient with delays and faults, which counts its calls and dies with its process. */
import { RheaError, type RheaError as RheaErrorType } from "@rhea/common";
import {
  RESOURCES,
  type ApplyOptions,
  type CallOptions,
  type KubeClient,
  type KubeObject,
  type KubePage,
  type ListOptions,
  type Resource,
} from "../../../kube/index.js";
import type { Random } from "../world/random.js";
import type { ProcessTime, VirtualTime } from "../world/virtual-time.js";
import type { ApiServer } from "./api-server.js";
import { pathOf, refusal, type AnyResource } from "./requests.js";
import { FAILURES, takesEffect, type ConnectionFaults, type Failure } from "./client-faults.js";
import { refuseEviction } from "./eviction.js";
import type { Fields } from "./json.js";
import { compileSelector } from "./selectors.js";
import { simulatedWatch, type OpenWatch, type WatchEnd } from "./simulated-watch.js";

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_PAGE_SIZE = 500;

/** One call, before it is made. */
export interface CallInfo {
  readonly verb: string;
  readonly resource: string;
  /** `namespace/name`; empty for lists and watches. */
  readonly path: string;
  readonly isWrite: boolean;
}

/** What a client is made with. */
export interface SimulatedClientOptions {
  readonly server: ApiServer;
  readonly time: VirtualTime;
  readonly random: Random;
  /** The process that calls. */
  readonly process: ProcessTime;
  readonly faults: ConnectionFaults;
  readonly fieldManager: string;
  /** Hears of every call; may kill the process there and then. `stage`: before it is sent, or after the server has done it. */
  readonly onCall?: (call: CallInfo, stage: "before" | "after", outcome?: Error) => void;
}

/** A client and what chaos can do to it. */
export interface SimulatedClient extends KubeClient {
  /** Ends watches: of one kind, or all. Returns how many. */
  endWatches(how: WatchEnd, plural?: string): number;
  /** Calls by verb. */
  readonly calls: Map<string, number>;
}

/** Makes a client. */
export function createSimulatedClient(options: SimulatedClientOptions): SimulatedClient {
  const { server, time, random, process, faults, fieldManager, onCall } = options;
  const calls = new Map<string, number>();
  const open = new Set<OpenWatch>();
  const latency = (): number => random.between(faults.latencyMs[0], faults.latencyMs[1]);

  function failureOf(info: CallInfo): Failure | "conflict" | undefined {
    if (faults.isPartitioned) return "broken";
    if (faults.failureRate > 0 && random.chance(faults.failureRate)) return random.pick(FAILURES);
    if (faults.conflictRate > 0 && info.isWrite && info.verb !== "create" && random.chance(faults.conflictRate))
      return "conflict";
    return undefined;
  }

  function call<R>(info: CallInfo, given: CallOptions | undefined, act: () => R): Promise<R> {
    calls.set(info.verb, (calls.get(info.verb) ?? 0) + 1);
    if (given?.signal?.aborted === true)
      return Promise.reject(new RheaError("CANCELLED", `${info.verb} ${info.path}: given up`));
    if (process.isAlive) onCall?.(info, "before");
    return new Promise<R>((resolve, reject) => {
      if (!process.isAlive) return; // a dead process hears no answer and asks nothing
      const what = `${info.verb} ${info.resource} ${info.path}`;
      const failure = failureOf(info);
      let isOver = false;
      const finish = (settle: () => void): void => {
        if (isOver || !process.isAlive) return;
        isOver = true;
        deadline.cancel();
        given?.signal?.removeEventListener("abort", onAbort);
        settle();
      };
      const deadline = time.plan(given?.timeoutMs ?? DEFAULT_TIMEOUT_MS, () => {
        finish(() => reject(timeoutError(what)));
      });
      const onAbort = (): void => finish(() => reject(new RheaError("CANCELLED", `${what}: given up`)));
      given?.signal?.addEventListener("abort", onAbort);
      const answer = (settle: () => void, delayMs = latency()): void => void time.plan(delayMs, () => finish(settle));
      if (failure !== undefined && failure !== "conflict" && !takesEffect(failure)) {
        if (failure !== "timeout")
          answer(
            () => reject(failureError(what, failure)),
            failure === "broken" ? random.between(10, 8_000) : latency(),
          );
        return;
      }
      time.plan(latency(), () => {
        if (failure === "conflict") {
          answer(() =>
            reject(
              refusal(
                what,
                409,
                "Conflict",
                "the object has been modified; please apply your changes to the latest version",
              ),
            ),
          );
          return;
        }
        let settle: () => void;
        let outcome: Error | undefined;
        try {
          const result = act();
          settle = () => resolve(result);
        } catch (thrown) {
          const error = thrown as Error;
          outcome = error;
          settle = () => reject(error);
        }
        if (process.isAlive) onCall?.(info, "after", outcome);
        if (failure === undefined) answer(settle);
        else if (failure !== "timeoutAfter") answer(() => reject(failureError(what, failure)));
      });
    });
  }

  const info = (verb: string, resource: AnyResource, path: string, isWrite: boolean): CallInfo => ({
    verb,
    resource: resource.plural,
    path,
    isWrite,
  });
  const at = (object: KubeObject): string =>
    pathOf({ name: object.metadata?.name ?? "", namespace: object.metadata?.namespace ?? "" });

  async function page<T extends KubeObject>(
    resource: Resource<T>,
    given: ListOptions | undefined,
  ): Promise<KubePage<T>> {
    return call(info("list", resource, "", false), given, () => ({
      items: server.list(resource, compileSelector(given ?? {})),
      resourceVersion: String(server.version),
    }));
  }

  return {
    calls,
    endWatches(how, plural) {
      const chosen = [...open].filter((watch) => plural === undefined || watch.plural === plural);
      for (const watch of chosen) watch.end(how);
      return chosen.length;
    },
    endpoint: {
      ...{ server: "https://simulated", context: "simulated", namespace: "default" },
      connect: () => Promise.reject(new RheaError("UNAVAILABLE", "the simulated API server has no sockets")),
      config: () => Promise.reject(new RheaError("UNAVAILABLE", "the simulated API server has no sockets")),
      close: () => undefined,
    },
    get: (resource, key, given) =>
      call(info("get", resource, pathOf(key), false), given, () => {
        const found = server.find(resource, key);
        if (found === undefined)
          throw refusal(`get ${pathOf(key)}`, 404, "NotFound", `${resource.plural} "${key.name}" not found`);
        return found;
      }),
    find: (resource, key, given) =>
      call(info("get", resource, pathOf(key), false), given, () => server.find(resource, key)),
    async *pages(resource, given) {
      const whole = await page(resource, given);
      const size = given?.pageSize === 0 ? Infinity : (given?.pageSize ?? DEFAULT_PAGE_SIZE);
      for (let from = 0; from === 0 || from < whole.items.length; from += size) {
        yield { items: whole.items.slice(from, from + size), resourceVersion: whole.resourceVersion };
      }
    },
    list: page,
    async *watch(resource, given) {
      await call(info("watch", resource, "", false), given, () => undefined);
      const delayMs = (plural: string): number => latency() + (faults.watchLagMs.get(plural) ?? 0);
      yield* simulatedWatch({ server, time, open, delayMs }, resource, given);
    },
    create: (resource, object, given) =>
      call(info("create", resource, at(object), true), given, () =>
        server.create(resource, object, { manager: given?.fieldManager ?? fieldManager, dryRun: given?.dryRun }),
      ),
    apply: (resource, object, given) =>
      call(info("apply", resource, at(object), true), given, () =>
        server.apply(resource, object, {
          manager: given?.fieldManager ?? fieldManager,
          force: given?.force ?? true,
          dryRun: given?.dryRun,
        }),
      ),
    applyStatus: <T extends KubeObject>(resource: Resource<T>, object: KubeObject, given?: ApplyOptions) =>
      call(info("status", resource, at(object), true), given, () =>
        server.apply(resource, object as T, {
          manager: given?.fieldManager ?? fieldManager,
          force: given?.force ?? true,
          subresource: "status",
        }),
      ),
    mergePatch: (resource, key, patch, given) =>
      call(info(given?.subresource === "status" ? "status" : "patch", resource, pathOf(key), true), given, () =>
        server.patch(resource, key, patch as Fields, {
          manager: given?.fieldManager ?? fieldManager,
          subresource: given?.subresource,
          dryRun: given?.dryRun,
        }),
      ),
    replace: (resource, object, given) =>
      call(info(given?.subresource === "status" ? "status" : "update", resource, at(object), true), given, () =>
        server.replace(resource, object, {
          manager: given?.fieldManager ?? fieldManager,
          subresource: given?.subresource,
          dryRun: given?.dryRun,
        }),
      ),
    delete: (resource, key, given) =>
      call(info("delete", resource, pathOf(key), true), given, () => {
        return server.delete(resource, key, {
          manager: fieldManager,
          ...given?.preconditions,
          gracePeriodSeconds: given?.gracePeriodSeconds,
        });
      }),
    evict: (key, given) =>
      call(info("evict", RESOURCES.pods, pathOf(key), true), given, () => {
        const refused = refuseEviction(server, key);
        if (refused !== undefined) return { kind: "refused", message: refused };
        server.delete(RESOURCES.pods, key, { manager: fieldManager, ...given?.preconditions });
        return { kind: "evicted" };
      }),
    podLog: (key, given) => call(info("log", RESOURCES.pods, pathOf(key), false), given, () => ""),
    request: (method, path) => Promise.reject(new RheaError("INVALID_ARGUMENT", `${method} ${path}: not simulated`)),
    close: () => undefined,
  };
}

function timeoutError(what: string): RheaErrorType {
  return new RheaError("DEADLINE_EXCEEDED", `${what}: no answer in time`);
}

function failureError(what: string, failure: Failure): Error {
  switch (failure) {
    case "busy":
      return refusal(what, 429, "TooManyRequests", "too many requests", 1);
    case "error":
    case "errorAfter":
      return refusal(what, 500, "InternalError", "etcdserver: leader changed");
    case "broken":
    case "brokenAfter":
      return new RheaError("UNAVAILABLE", `${what}: the connection broke`);
    case "timeout":
    case "timeoutAfter":
      return timeoutError(what);
  }
}
