/** A watch of the simulated API server: late, lost, cut, expired. */
import { RheaError, type TimerHandle } from "@rhea/common";
import type { KubeObject, Resource, WatchEvent, WatchOptions } from "../../../kube/index.js";
import type { VirtualTime } from "../world/virtual-time.js";
import type { ApiServer, HistoryEntry } from "./api-server.js";
import { refusal, type AnyResource } from "./requests.js";
import type { StoredObject } from "./json.js";
import { compileSelector, type Selector } from "./selectors.js";

const BOOKMARK_MS = 60_000;

/** How a watch ends or fails: `silent` = nothing more comes, and nobody is told. */
export type WatchEnd = "end" | "cut" | "gone" | "silent";

/** A watch under way, as its client keeps it. */
export interface OpenWatch {
  readonly plural: string;
  end(how: WatchEnd): void;
}

/** What a watch is made of. */
export interface WatchSetting {
  readonly server: ApiServer;
  readonly time: VirtualTime;
  readonly open: Set<OpenWatch>;
  /** Milliseconds until an event of now arrives. */
  readonly delayMs: (plural: string) => number;
}

/** Yields events as {@link WatchOptions} ask for. Its place in `open` is given up when it ends. */
export async function* simulatedWatch<T extends KubeObject>(
  { server, time, open, delayMs }: WatchSetting,
  resource: Resource<T>,
  options: WatchOptions,
): AsyncGenerator<WatchEvent<T>> {
  const what = `watch ${resource.plural}`;
  const isWanted = compileSelector(options);
  const since = Number(options.resourceVersion);
  const missed = server.changesAfter(resource, since);
  if (missed === undefined) {
    throw refusal(what, 410, "Expired", `too old resource version: ${since} (${server.version})`);
  }
  const arrived: (WatchEvent<T> | Error | undefined)[] = [];
  const timers: TimerHandle[] = [];
  let wake: (() => void) | undefined;
  let isDead = false;
  let lastAtMs = time.nowMs;
  const arrive = (what: WatchEvent<T> | Error | undefined): void => {
    arrived.push(what);
    wake?.();
  };
  const send = (event: WatchEvent<T>): void => {
    if (isDead) return;
    // In order, however late.
    lastAtMs = Math.max(lastAtMs, time.nowMs + delayMs(resource.plural));
    time.plan(lastAtMs - time.nowMs, () => {
      if (!isDead) arrive(event);
    });
  };
  const listen = (entry: HistoryEntry): void => {
    if (entry.plural !== resource.plural) return;
    const event = eventOf<T>(entry, isWanted);
    if (event !== undefined) send(event);
  };
  const bookmark = (): void => {
    if (isDead) return;
    send({ type: "BOOKMARK", object: bookmarkOf(resource, server.version) as T });
    timers[0] = time.plan(BOOKMARK_MS, bookmark);
  };
  const self: OpenWatch = {
    plural: resource.plural,
    end(how) {
      server.offChange(listen);
      if (how === "silent") isDead = true;
      else if (how === "end") arrive(undefined);
      else if (how === "gone") arrive(refusal(what, 410, "Expired", "the server has forgotten this version"));
      else arrive(new RheaError("UNAVAILABLE", `${what}: the connection broke`));
    },
  };
  for (const entry of missed) listen(entry);
  server.onChange(listen);
  open.add(self);
  timers[0] = time.plan(BOOKMARK_MS, bookmark);
  timers[1] = time.plan(options.timeoutSeconds * 1000, () => {
    if (!isDead) arrive(undefined);
  });
  const onAbort = (): void => arrive(new RheaError("CANCELLED", `${what}: given up`));
  options.signal?.addEventListener("abort", onAbort);
  try {
    for (;;) {
      const [next] = arrived;
      if (arrived.length > 0) {
        arrived.shift();
        if (next === undefined) return;
        if (next instanceof Error) throw next;
        yield next;
        continue;
      }
      const idle = time.plan(options.idleTimeoutMs, () => {
        arrive(new RheaError("DEADLINE_EXCEEDED", `${what}: nothing came for ${options.idleTimeoutMs} ms`));
      });
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      idle.cancel();
    }
  } finally {
    for (const timer of timers) timer.cancel();
    options.signal?.removeEventListener("abort", onAbort);
    server.offChange(listen);
    open.delete(self);
  }
}

/** What a change means to a watcher who sees only some objects. */
function eventOf<T extends KubeObject>(
  { type, object, previous }: HistoryEntry,
  isWanted: Selector,
): WatchEvent<T> | undefined {
  const was = previous !== undefined && isWanted(previous);
  const is = type !== "DELETED" && isWanted(object);
  if (!was && !is) return undefined;
  return { type: !is ? "DELETED" : was ? "MODIFIED" : "ADDED", object: object as unknown as T };
}

function bookmarkOf({ kind }: AnyResource, version: number): Partial<StoredObject> {
  return { kind, metadata: { resourceVersion: String(version), name: "", uid: "" } };
}
