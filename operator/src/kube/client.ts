/** The JSON client of the Kubernetes API. */
import { RheaError, type Clock, type Rng, type Scheduler } from "@rhea/common";
import { callJson, callText, openStream, type Call, type CallContext, type RequestReport } from "./call.js";
import type { KubeEndpoint } from "./endpoint.js";
import { connectionError, describeRequest, reasonOf } from "./http.js";
import { isGone, isKubeNotFound } from "./kube-error.js";
import type { KubeObject, ObjectKey } from "./objects.js";
import { apiVersionOf, collectionPath, objectPath, type Resource } from "./resources.js";
import { parseEvent, splitLines, type WatchEvent } from "./watch-stream.js";

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_PAGE_SIZE = 500;
const MAX_RESPONSE_BYTES = 64 * 1024 * 1024;
const MAX_EVENT_BYTES = 8 * 1024 * 1024;

/** Bounds of one call. */
export interface CallOptions {
  /** Ends the call with CANCELLED. */
  readonly signal?: AbortSignal;
  /** Milliseconds for the whole call with its repetitions. Default 30,000. */
  readonly timeoutMs?: number;
}

/** Which objects of a kind. */
export interface Selection {
  /** Default all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

/** A list. */
export interface ListOptions extends CallOptions, Selection {
  /** Objects per page. Default 500; 0 asks for all at once. */
  readonly pageSize?: number;
  /** Default none: the newest state. "0" takes any state that the API server has at hand, which may be old. */
  readonly resourceVersion?: string;
}

/** A page of a list, or the whole. */
export interface KubePage<T extends KubeObject> {
  readonly items: readonly T[];
  /** From here a watch goes on. The same for all pages of a list. */
  readonly resourceVersion: string;
}

/** A watch. */
export interface WatchOptions extends Selection {
  /** Events after this version. */
  readonly resourceVersion: string;
  /** Seconds after which the API server ends the watch. */
  readonly timeoutSeconds: number;
  /** Milliseconds without any event or bookmark after which the watch fails with DEADLINE_EXCEEDED. */
  readonly idleTimeoutMs: number;
  readonly signal?: AbortSignal;
}

/** A write. */
export interface WriteOptions extends CallOptions {
  /** True: the API server checks the write and forgets it. */
  readonly dryRun?: boolean;
  /** Default: the client's. */
  readonly fieldManager?: string;
}

/** A server-side apply. */
export interface ApplyOptions extends WriteOptions {
  /** Take over fields of other managers. Default true, as controllers should; false ends with KUBE_CONFLICT. */
  readonly force?: boolean;
}

/** A deletion. */
export interface DeleteOptions extends CallOptions {
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
  /** Delete only this very object, or this version of it; KUBE_CONFLICT otherwise. */
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly gracePeriodSeconds?: number;
  readonly dryRun?: boolean;
}

/** What became of an eviction. `refused`: a PodDisruptionBudget (or a busy server) said no; the pod runs on. */
export type Eviction =
  | { readonly kind: "evicted" }
  | { readonly kind: "gone" }
  | { readonly kind: "refused"; readonly message: string; readonly retryAfterMs?: number };

/**
 * Reads and writes Kubernetes objects. Every call is bounded in time and size and throws RheaError (index.ts has the codes).
 * Reads, applies, patches and deletions are repeated within their time while the API server fails or is busy; creations and
 * evictions only when they surely had no effect.
 */
export interface KubeClient {
  readonly endpoint: KubeEndpoint;
  /** Returns an object. Throws KUBE_NOT_FOUND. */
  get<T extends KubeObject>(resource: Resource<T>, key: ObjectKey, options?: CallOptions): Promise<T>;
  /** Returns an object, or undefined where there is none. */
  find<T extends KubeObject>(resource: Resource<T>, key: ObjectKey, options?: CallOptions): Promise<T | undefined>;
  /** Yields a list page by page. Throws an error of which {@link isGone} holds when the list took so long that its version is no longer kept. */
  pages<T extends KubeObject>(resource: Resource<T>, options?: ListOptions): AsyncGenerator<KubePage<T>>;
  /** Returns a whole list, read in pages; when they expire on the way, read again in one piece. */
  list<T extends KubeObject>(resource: Resource<T>, options?: ListOptions): Promise<KubePage<T>>;
  /**
   * Yields events until the API server ends the watch. Throws when the connection breaks, when the watch is silent, when an event is
   * malformed, and with what an ERROR event says. Never repeats by itself: that is the informer's part.
   */
  watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>>;
  /** Creates an object. Throws ALREADY_EXISTS. */
  create<T extends KubeObject>(resource: Resource<T>, object: NoInfer<T>, options?: WriteOptions): Promise<T>;
  /** Applies an object (server-side): creates it or sets the fields given, and drops fields of this manager that are no longer given. */
  apply<T extends KubeObject>(resource: Resource<T>, object: NoInfer<T>, options?: ApplyOptions): Promise<T>;
  /** Applies the status of an object: pass name, namespace and status. Throws KUBE_NOT_FOUND. */
  applyStatus<T extends KubeObject>(
    resource: Resource<T>,
    object: NoInfer<Partial<T>> & KubeObject,
    options?: ApplyOptions,
  ): Promise<T>;
  /** Merges a patch (RFC 7386). With `metadata.resourceVersion` inside it fails with KUBE_CONFLICT if the object changed. */
  mergePatch<T extends KubeObject>(
    resource: Resource<T>,
    key: ObjectKey,
    patch: object,
    options?: WriteOptions & { readonly subresource?: "status" | "scale" },
  ): Promise<T>;
  /** Replaces an object; with a resource version in its metadata only that version (KUBE_CONFLICT). */
  replace<T extends KubeObject>(
    resource: Resource<T>,
    object: NoInfer<T>,
    options?: WriteOptions & { readonly subresource?: "status" },
  ): Promise<T>;
  /** Deletes an object. `deleting`: it is still there, with finalizers or a grace period; `gone`: it is not, or never was. */
  delete(resource: Resource<KubeObject>, key: ObjectKey, options?: DeleteOptions): Promise<"deleting" | "gone">;
  /** Evicts a pod, which respects PodDisruptionBudgets. */
  evict(key: ObjectKey, options?: Omit<DeleteOptions, "propagationPolicy">): Promise<Eviction>;
  /** Returns the end of a container's log. `tailLines` default 1,000; `previous`: of the run before. */
  podLog(
    key: ObjectKey,
    options?: CallOptions & { readonly container?: string; readonly tailLines?: number; readonly previous?: boolean },
  ): Promise<string>;
  /** Makes any other call and returns its JSON. Repeated as a read if the method is GET, else only when it had no effect. */
  request(
    method: string,
    path: string,
    options?: CallOptions & {
      readonly query?: Readonly<Record<string, string>>;
      readonly body?: unknown;
      readonly contentType?: string;
    },
  ): Promise<unknown>;
  /** Closes kept connections. Calls under way are the callers' to cancel. */
  close(): void;
}

/** What a client is made with. */
export interface KubeClientOptions {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  /** Owner of the fields that this client writes: `rhea-operator`. */
  readonly fieldManager: string;
  /** Default the field manager. */
  readonly userAgent?: string;
  /** Called after each attempt. */
  readonly onRequest?: (report: RequestReport) => void;
  /** Called with each Warning header of the API server: deprecated fields, unknown fields. */
  readonly onWarning?: (warning: string) => void;
  /** Bytes above which an answer is refused. Default 64 MiB. */
  readonly maxResponseBytes?: number;
}

/** Makes a client. Nothing is sent before the first call. */
export function createKubeClient(endpoint: KubeEndpoint, options: KubeClientOptions): KubeClient {
  const context: CallContext = {
    endpoint,
    clock: options.clock,
    scheduler: options.scheduler,
    rng: options.rng,
    userAgent: options.userAgent ?? options.fieldManager,
    maxResponseBytes: options.maxResponseBytes ?? MAX_RESPONSE_BYTES,
    onRequest: options.onRequest ?? (() => undefined),
    onWarning: options.onWarning ?? (() => undefined),
  };

  function callOf(
    verb: string,
    method: string,
    resource: Resource<KubeObject>,
    path: string,
    given: CallOptions,
    rest: Partial<Call>,
  ): Call {
    return {
      verb,
      method,
      resource: resource.plural,
      path,
      retry: "all",
      timeoutMs: given.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      ...(given.signal === undefined ? {} : { signal: given.signal }),
      ...rest,
    };
  }

  async function objectCall<T extends KubeObject>(call: Call): Promise<T> {
    const value = await callJson(context, call);
    if (isObject(value)) return value as T;
    throw new RheaError("KUBE_API", `${call.method} ${call.path}: the answer is no object`);
  }

  function writeQuery(write: WriteOptions): Record<string, string | undefined> {
    return {
      fieldManager: write.fieldManager ?? options.fieldManager,
      dryRun: write.dryRun === true ? "All" : undefined,
    };
  }

  async function getObject<T extends KubeObject>(
    resource: Resource<T>,
    key: ObjectKey,
    given: CallOptions,
  ): Promise<T> {
    return objectCall<T>(callOf("get", "GET", resource, objectPath(resource, key), given, {}));
  }

  async function* pages<T extends KubeObject>(resource: Resource<T>, given: ListOptions): AsyncGenerator<KubePage<T>> {
    const pageSize = given.pageSize ?? DEFAULT_PAGE_SIZE;
    let next = "";
    do {
      const call = callOf("list", "GET", resource, collectionPath(resource, given.namespace), given, {
        query: {
          labelSelector: given.labelSelector,
          fieldSelector: given.fieldSelector,
          limit: pageSize === 0 ? undefined : String(pageSize),
          continue: next === "" ? undefined : next,
          // A continue token carries its version; both together are refused.
          resourceVersion: next === "" ? given.resourceVersion : undefined,
        },
      });
      const page = parsePage<T>(await callJson(context, call), resource, call);
      next = page.next;
      yield page;
    } while (next !== "");
  }

  async function list<T extends KubeObject>(resource: Resource<T>, given: ListOptions): Promise<KubePage<T>> {
    const items: T[] = [];
    let resourceVersion = "";
    try {
      for await (const page of pages(resource, given)) {
        items.push(...page.items);
        resourceVersion = page.resourceVersion;
      }
      return { items, resourceVersion };
    } catch (error) {
      if (!isGone(error) || resourceVersion === "") throw error;
    }
    for await (const page of pages(resource, { ...given, pageSize: 0 })) return page;
    throw new RheaError("KUBE_API", `list of ${resource.plural}: no answer`);
  }

  async function* watch<T extends KubeObject>(
    resource: Resource<T>,
    given: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>> {
    const path = collectionPath(resource, given.namespace);
    const { response, request, scope } = await openStream(
      context,
      callOf("watch", "GET", resource, path, given.signal === undefined ? {} : { signal: given.signal }, {
        retry: "none",
        query: {
          watch: "true",
          allowWatchBookmarks: "true",
          resourceVersion: given.resourceVersion,
          timeoutSeconds: String(given.timeoutSeconds),
          labelSelector: given.labelSelector,
          fieldSelector: given.fieldSelector,
        },
      }),
    );
    const what = describeRequest(request);
    const rearm = (): { cancel(): void } =>
      options.scheduler.setTimer(given.idleTimeoutMs, () =>
        scope.abort(
          new RheaError("DEADLINE_EXCEEDED", `${what}: the watch was silent for ${given.idleTimeoutMs} ms and is cut`),
        ),
      );
    let watchdog = rearm();
    try {
      for await (const line of splitLines(response as AsyncIterable<Uint8Array>, MAX_EVENT_BYTES, what)) {
        watchdog.cancel();
        yield parseEvent<T>(line, what);
        watchdog = rearm();
      }
    } catch (error) {
      if (scope.signal.aborted) throw reasonOf(scope.signal);
      throw error instanceof RheaError ? error : connectionError(request, error as NodeJS.ErrnoException);
    } finally {
      watchdog.cancel();
      scope.close();
      response.destroy();
    }
  }

  async function write<T extends KubeObject>(
    verb: "create" | "apply" | "update",
    resource: Resource<T>,
    object: KubeObject,
    given: ApplyOptions & { readonly subresource?: string },
  ): Promise<T> {
    const { name, namespace } = object.metadata ?? {};
    const key = { name: name ?? "", ...(namespace === undefined ? {} : { namespace }) };
    const body = { ...object, apiVersion: apiVersionOf(resource), kind: resource.kind };
    const query = writeQuery(given);
    switch (verb) {
      case "create":
        return objectCall<T>(
          callOf("create", "POST", resource, collectionPath(resource, namespace), given, {
            query,
            body,
            retry: "unapplied",
          }),
        );
      case "update":
        return objectCall<T>(
          callOf("update", "PUT", resource, objectPath(resource, key, given.subresource), given, { query, body }),
        );
      case "apply":
        return objectCall<T>(
          callOf("apply", "PATCH", resource, objectPath(resource, key, given.subresource), given, {
            query: { ...query, force: String(given.force ?? true) },
            body,
            contentType: "application/apply-patch+yaml",
          }),
        );
    }
  }

  async function evict(key: ObjectKey, given: Omit<DeleteOptions, "propagationPolicy">): Promise<Eviction> {
    const pods = { group: "", version: "v1", plural: "pods", kind: "Pod", namespaced: true };
    const call = callOf("evict", "POST", pods, objectPath(pods, key, "eviction"), given, {
      retry: "none",
      body: { apiVersion: "policy/v1", kind: "Eviction", metadata: key, deleteOptions: deleteBody(given) },
    });
    try {
      await callJson(context, call);
      return { kind: "evicted" };
    } catch (error) {
      if (isKubeNotFound(error)) return { kind: "gone" };
      if (!(error instanceof RheaError) || error.code !== "SERVER_BUSY") throw error;
      const { retryAfterMs, kube } = error.details;
      return {
        kind: "refused",
        message: kube?.message ?? error.message,
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      };
    }
  }

  return {
    endpoint,
    get: (resource, key, given = {}) => getObject(resource, key, given),
    async find(resource, key, given = {}) {
      try {
        return await getObject(resource, key, given);
      } catch (error) {
        if (isKubeNotFound(error)) return undefined;
        throw error;
      }
    },
    pages: (resource, given = {}) => pages(resource, given),
    list: (resource, given = {}) => list(resource, given),
    watch,
    create: (resource, object, given = {}) => write("create", resource, object, given),
    apply: (resource, object, given = {}) => write("apply", resource, object, given),
    applyStatus: (resource, object, given = {}) =>
      write("apply", resource, object, { ...given, subresource: "status" }),
    replace: (resource, object, given = {}) => write("update", resource, object, given),
    mergePatch: (resource, key, patch, given = {}) =>
      objectCall(
        callOf("patch", "PATCH", resource, objectPath(resource, key, given.subresource), given, {
          query: writeQuery(given),
          body: patch,
          contentType: "application/merge-patch+json",
        }),
      ),
    async delete(resource, key, given = {}) {
      try {
        const left = await objectCall<KubeObject>(
          callOf("delete", "DELETE", resource, objectPath(resource, key), given, { body: deleteBody(given) }),
        );
        return left.kind === "Status" ? "gone" : "deleting";
      } catch (error) {
        if (isKubeNotFound(error)) return "gone";
        throw error;
      }
    },
    evict: (key, given = {}) => evict(key, given),
    podLog(key, given = {}) {
      const pods = { group: "", version: "v1", plural: "pods", kind: "Pod", namespaced: true };
      return callText(
        context,
        callOf("log", "GET", pods, objectPath(pods, key, "log"), given, {
          accept: "*/*",
          query: {
            container: given.container,
            tailLines: String(given.tailLines ?? 1_000),
            previous: given.previous === true ? "true" : undefined,
          },
        }),
      );
    },
    request: (method, path, given = {}) =>
      callJson(context, {
        verb: method.toLowerCase(),
        method,
        resource: path,
        path,
        retry: method === "GET" ? "all" : "unapplied",
        timeoutMs: given.timeoutMs ?? DEFAULT_TIMEOUT_MS,
        ...(given.query === undefined ? {} : { query: given.query }),
        ...(given.body === undefined ? {} : { body: given.body }),
        ...(given.contentType === undefined ? {} : { contentType: given.contentType }),
        ...(given.signal === undefined ? {} : { signal: given.signal }),
      }),
    close: () => endpoint.close(),
  };
}

function deleteBody(given: DeleteOptions): object {
  const { propagationPolicy, preconditions, gracePeriodSeconds, dryRun } = given;
  return {
    apiVersion: "v1",
    kind: "DeleteOptions",
    ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
    ...(preconditions === undefined ? {} : { preconditions }),
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(dryRun === true ? { dryRun: ["All"] } : {}),
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Checks a list. Its items carry neither version nor kind for built-in kinds, so both are put back. */
function parsePage<T extends KubeObject>(
  value: unknown,
  resource: Resource<T>,
  call: Call,
): KubePage<T> & { readonly next: string } {
  const metadata = isObject(value) && isObject(value["metadata"]) ? value["metadata"] : {};
  // Go writes an empty list as null.
  const items = isObject(value) ? (value["items"] ?? []) : undefined;
  const resourceVersion = metadata["resourceVersion"];
  if (!Array.isArray(items) || typeof resourceVersion !== "string") {
    throw new RheaError("KUBE_API", `${call.method} ${call.path}: the answer is no list`);
  }
  const next = metadata["continue"];
  const typed = items.map((item: T) => {
    if (typeof item.metadata?.name !== "string") {
      throw new RheaError("KUBE_API", `${call.method} ${call.path}: an item without a name`);
    }
    return { ...item, apiVersion: apiVersionOf(resource), kind: resource.kind };
  });
  return { items: typed, resourceVersion, next: typeof next === "string" ? next : "" };
}
