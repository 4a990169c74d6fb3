/** A cache of one kind of object, kept by a list and a watch. */
import { RheaError, type Clock, type Logger, type Rng, type Scheduler } from "@rhea/common";
import type { KubeClient, KubePage, Selection } from "./client.js";
import { delay } from "./http.js";
import { isGone } from "./kube-error.js";
import { objectKey, type KubeObject } from "./objects.js";
import type { Resource } from "./resources.js";
import type { WatchEvent } from "./watch-stream.js";

const FIRST_BACKOFF_MS = 800;
const MAX_BACKOFF_MS = 30_000;
/** A watch that ends sooner than this without an event counts as a failure: an API server or proxy that closes at once. */
const SHORT_WATCH_MS = 1_000;
/** After so many watches in a row that brought nothing, the version from which they start is no longer trusted. */
const FAILURES_BEFORE_RELIST = 3;
/** Bookmarks come about once a minute. */
const IDLE_TIMEOUT_MS = 180_000;
const MIN_WATCH_SECONDS = 300;

/** A change of the cache, told after it was made. */
export interface Change<T extends KubeObject> {
  readonly kind: "added" | "updated" | "deleted";
  /** `namespace/name`, or `name`. */
  readonly key: string;
  /** The object now; for `deleted` the last that was seen. */
  readonly object: T;
  readonly previous?: T;
}

/** Counts since the start, for metrics. */
export interface InformerCounters {
  readonly lists: number;
  readonly watches: number;
  /** Lists and watches that failed. */
  readonly failures: number;
  readonly events: number;
  /** Monotonic time of the last list, event or bookmark; -1 before the first. */
  readonly lastSeenMs: number;
}

/** What reconciling reads. */
export interface InformerView<T extends KubeObject> {
  readonly resource: Resource<T>;
  /** Objects by `namespace/name` (`name` for cluster-wide kinds). Never changed in place: an update is a new object. */
  readonly store: ReadonlyMap<string, T>;
  /** Version up to which the store shows every change; empty before the first list. */
  readonly resourceVersion: string;
  /** Whether a first whole list is in the store. */
  readonly hasSynced: boolean;
  /** Lists anew, though the watch may be well; resolves when a list that began after this call is in the store. Rejects when the informer closes. */
  relist(): Promise<void>;
}

/** A running cache. */
export interface Informer<T extends KubeObject> extends InformerView<T> {
  /** Starts listing; the API server need not be there yet. */
  start(): void;
  /** Resolves after the first whole list. Rejects with SHUTTING_DOWN when the informer closes before. */
  synced(): Promise<void>;
  readonly counters: InformerCounters;
  /** Why the last list or watch failed; undefined after one that went well. */
  readonly lastError: RheaError | undefined;
  /** Stops. The store stays readable. */
  close(): Promise<void>;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: RheaError) => void;
}

/** What an informer is made with. */
export interface InformerOptions<T extends KubeObject> extends Selection {
  readonly client: Pick<KubeClient, "list" | "watch">;
  readonly resource: Resource<T>;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly logger: Logger;
  /** Called for each change, in order, on the loop of the informer: put a key into a queue and return. */
  readonly onChange?: (change: Change<T>) => void;
  /** Milliseconds of silence, bookmarks included, after which a watch is cut and begun again. Default 180,000. */
  readonly idleTimeoutMs?: number;
  /** Seconds after which the API server is asked to end a watch. Default random in 300..600, so that watches do not end all at once. */
  readonly watchTimeoutSeconds?: number;
}

/**
 * Makes an informer. It lists the newest state, then watches from there. A watch that ends is begun again from the last version seen,
 * without a list; a failing one after a back-off of 0.8..30 s with jitter. It lists again when the version is gone (410), and when three
 * watches in a row brought nothing. What vanished between two lists is told as deleted; what is gone and back under another uid, as
 * deleted and added.
 */
export function createInformer<T extends KubeObject>(options: InformerOptions<T>): Informer<T> {
  const { client, resource, clock, scheduler, rng, logger } = options;
  const store = new Map<string, T>();
  const counters = { lists: 0, watches: 0, failures: 0, events: 0, lastSeenMs: -1 };
  const closing = new AbortController();
  let running: Promise<void> | undefined;
  let hasSynced = false;
  let lastError: RheaError | undefined;
  let resourceVersion = "";
  let failuresInRow = 0;
  /** Cuts the watch or the wait under way, so that the loop looks again. */
  let interrupt = new AbortController();
  let wantsRelist = true;
  let syncWaiters: Waiter[] = [];
  let relistWaiters: Waiter[] = [];
  const selection: Selection = {
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
    ...(options.labelSelector === undefined ? {} : { labelSelector: options.labelSelector }),
    ...(options.fieldSelector === undefined ? {} : { fieldSelector: options.fieldSelector }),
  };

  function tell(change: Change<T>): void {
    try {
      options.onChange?.(change);
    } catch (thrown) {
      const error = RheaError.from(thrown);
      logger.log("error", "informer: a listener failed", {
        kind: resource.kind,
        key: change.key,
        error: error.message,
      });
    }
  }

  function put(object: T): void {
    const key = objectKey(object);
    const previous = store.get(key);
    if (previous !== undefined && previous.metadata?.uid !== object.metadata?.uid) {
      remove(previous);
      put(object);
      return;
    }
    if (previous?.metadata?.resourceVersion === object.metadata?.resourceVersion && previous !== undefined) return;
    store.set(key, object);
    tell(previous === undefined ? { kind: "added", key, object } : { kind: "updated", key, object, previous });
  }

  function remove(object: T): void {
    const key = objectKey(object);
    const previous = store.get(key);
    if (previous === undefined) return;
    store.delete(key);
    tell({ kind: "deleted", key, object, previous });
  }

  function replaceAll(page: KubePage<T>): void {
    const present = new Set(page.items.map(objectKey));
    for (const [key, object] of [...store]) if (!present.has(key)) remove(object);
    for (const object of page.items) put(object);
    resourceVersion = page.resourceVersion;
    hasSynced = true;
  }

  async function list(): Promise<void> {
    // Wishes that come while the list is on its way are for the next one.
    const served = relistWaiters;
    relistWaiters = [];
    wantsRelist = false;
    counters.lists += 1;
    try {
      replaceAll(await client.list(resource, { ...selection, signal: closing.signal }));
    } catch (error) {
      wantsRelist = true;
      relistWaiters = [...served, ...relistWaiters];
      throw error;
    }
    counters.lastSeenMs = clock.monotonicMs();
    for (const waiter of [...served, ...syncWaiters]) waiter.resolve();
    syncWaiters = [];
  }

  function take(event: WatchEvent<T>): void {
    counters.events += 1;
    counters.lastSeenMs = clock.monotonicMs();
    resourceVersion = event.object.metadata?.resourceVersion ?? resourceVersion;
    if (event.type === "DELETED") remove(event.object);
    else if (event.type !== "BOOKMARK") put(event.object);
  }

  async function watch(): Promise<void> {
    const startedAt = clock.monotonicMs();
    let events = 0;
    counters.watches += 1;
    const stream = client.watch(resource, {
      ...selection,
      resourceVersion,
      timeoutSeconds: options.watchTimeoutSeconds ?? MIN_WATCH_SECONDS + rng.int(MIN_WATCH_SECONDS + 1),
      idleTimeoutMs: options.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
      signal: interrupt.signal,
    });
    for await (const event of stream) {
      take(event);
      events += 1;
      failuresInRow = 0;
      lastError = undefined;
    }
    if (clock.monotonicMs() - startedAt >= SHORT_WATCH_MS) return;
    if (events > 0) await wait(FIRST_BACKOFF_MS);
    else {
      throw new RheaError("KUBE_API", `watch of ${resource.plural}: closed at once, without an event`);
    }
  }

  async function turn(): Promise<void> {
    try {
      if (wantsRelist) await list();
      // Counted from the watch alone: a list that goes well does not show that watches do.
      await watch();
      failuresInRow = 0;
      lastError = undefined;
    } catch (thrown) {
      if (closing.signal.aborted || interrupt.signal.aborted) return;
      const error = RheaError.from(thrown);
      lastError = error;
      counters.failures += 1;
      failuresInRow += 1;
      if (isGone(error) || failuresInRow % FAILURES_BEFORE_RELIST === 0) wantsRelist = true;
      logger.log("warn", "informer: list or watch failed", {
        kind: resource.kind,
        code: error.code,
        error: error.message,
        inRow: failuresInRow,
      });
      await backOff(error);
    }
  }

  async function backOff(error: RheaError): Promise<void> {
    // An expired version is no sign of trouble the first time.
    if (isGone(error) && failuresInRow === 1) return;
    const ceiling = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(failuresInRow - 1, 10));
    const waitMs = Math.max(error.details.retryAfterMs ?? 0, ceiling / 2 + rng.int(ceiling / 2 + 1));
    await wait(waitMs);
  }

  async function wait(waitMs: number): Promise<void> {
    try {
      await delay(scheduler, waitMs, interrupt.signal);
    } catch {
      // closed, or a relist was asked for: the loop looks
    }
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      if (interrupt.signal.aborted) interrupt = new AbortController();
      await turn();
    }
  }

  function waitIn(queue: Waiter[]): Promise<void> {
    if (closing.signal.aborted) return Promise.reject(closedError());
    return new Promise((resolve, reject) => queue.push({ resolve, reject }));
  }

  function closedError(): RheaError {
    return new RheaError("SHUTTING_DOWN", `informer of ${resource.plural}: closed`);
  }

  return {
    resource,
    store,
    get resourceVersion() {
      return resourceVersion;
    },
    get hasSynced() {
      return hasSynced;
    },
    get lastError() {
      return lastError;
    },
    get counters() {
      return { ...counters };
    },
    start() {
      running ??= run();
    },
    synced: () => (hasSynced ? Promise.resolve() : waitIn(syncWaiters)),
    relist() {
      const listed = waitIn(relistWaiters);
      wantsRelist = true;
      interrupt.abort();
      return listed;
    },
    async close() {
      closing.abort();
      interrupt.abort();
      for (const waiter of [...syncWaiters, ...relistWaiters]) waiter.reject(closedError());
      syncWaiters = [];
      relistWaiters = [];
      await running;
    },
  };
}
