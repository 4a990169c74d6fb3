/** What this process wrote and its caches have not shown yet. */
import { RheaError, type Clock, type Logger } from "@rhea/common";
import { objectKey, type InformerView, type KubeObject, type ObjectKey, type Resource } from "../kube/index.js";

const TIMEOUT_MS = 10_000;
const LOOK_AGAIN_MS = 500;

/** Whether a reconcile may trust the caches. `waiting`: look again when something changes, at the latest after `retryAfterMs`. */
export type CacheState =
  { readonly kind: "satisfied" } | { readonly kind: "waiting"; readonly what: string; readonly retryAfterMs: number };

/**
 * Remembers own writes, by the key that is reconciled. A reconcile that runs on a cache from before its own last write would do that
 * write again, or take an object that it just made for missing: it asks here first and waits.
 */
export interface Expectations {
  /** Remembers a write: the version that the API server answered with, or that the object was deleted. Call it right after each write. */
  observeWrite(
    key: string,
    object: ObjectKey & { readonly resource: Resource<KubeObject>; readonly uid?: string },
    outcome: { readonly resourceVersion: string } | "deleted",
  ): void;
  /**
   * Compares the writes of `key` with the caches. A write that a cache has not shown within the timeout makes that cache list anew; a
   * list that began after the write settles it, whatever became of the object.
   */
  satisfied(key: string, views: readonly InformerView<KubeObject>[]): CacheState;
  /** Forgets a key that is no longer reconciled. */
  forget(key: string): void;
}

interface Write {
  readonly resource: Resource<KubeObject>;
  /** Key in the cache. */
  readonly name: string;
  readonly uid: string | undefined;
  readonly outcome: { readonly resourceVersion: string } | "deleted";
  readonly atMs: number;
  isRelisting: boolean;
}

/** Makes an empty memory. `timeoutMs`: default 10,000. */
export function createExpectations(options: {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly timeoutMs?: number;
}): Expectations {
  const { clock, logger } = options;
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  /** Key -> writes by kind and name; a later write of an object takes the place of an earlier one. */
  const writes = new Map<string, Map<string, Write>>();

  function relist(key: string, id: string, write: Write, view: InformerView<KubeObject>): void {
    write.isRelisting = true;
    logger.log("warn", "cache has not shown an own write in time: listing anew", {
      key,
      object: id,
      waitedMs: clock.monotonicMs() - write.atMs,
    });
    view.relist().then(
      () => {
        const own = writes.get(key);
        if (own?.get(id) === write) own.delete(id);
      },
      (thrown: unknown) => {
        write.isRelisting = false;
        logger.log("debug", "listing anew failed", { error: RheaError.from(thrown).message });
      },
    );
  }

  return {
    observeWrite(key, object, outcome) {
      const own = writes.get(key) ?? new Map<string, Write>();
      writes.set(key, own);
      const name = objectKey({ metadata: keyOnly(object) });
      own.set(idOf(object.resource, name), {
        resource: object.resource,
        name,
        uid: object.uid,
        outcome,
        atMs: clock.monotonicMs(),
        isRelisting: false,
      });
    },
    satisfied(key, views) {
      const own = writes.get(key);
      if (own === undefined) return { kind: "satisfied" };
      const now = clock.monotonicMs();
      let state: CacheState = { kind: "satisfied" };
      for (const [id, write] of own) {
        const view = views.find(({ resource }) => sameResource(resource, write.resource));
        if (view === undefined || isShown(write, view)) {
          own.delete(id);
          continue;
        }
        const leftMs = write.atMs + timeoutMs - now;
        if (leftMs <= 0 && !write.isRelisting) relist(key, id, write, view);
        state = { kind: "waiting", what: id, retryAfterMs: Math.max(LOOK_AGAIN_MS, leftMs) };
      }
      if (own.size === 0) writes.delete(key);
      return state;
    },
    forget: (key) => void writes.delete(key),
  };
}

function isShown(write: Write, view: InformerView<KubeObject>): boolean {
  if (!view.hasSynced) return false;
  const cached = view.store.get(write.name)?.metadata;
  if (write.outcome === "deleted") {
    const isAnother = write.uid !== undefined && cached?.uid !== write.uid;
    return cached === undefined || isAnother || cached.deletionTimestamp !== undefined;
  }
  const { resourceVersion } = write.outcome;
  // The version of the whole cache settles it too: the object may have been deleted by another since.
  return [cached?.resourceVersion, view.resourceVersion].some(
    (version) => version !== undefined && isAtLeast(version, resourceVersion),
  );
}

/** Compares resource versions, which are decimal numbers of any length (KEP-5504). Others count only when equal. */
function isAtLeast(version: string, wanted: string): boolean {
  if (version === wanted) return true;
  if (!/^[1-9]\d*$/.test(version) || !/^[1-9]\d*$/.test(wanted)) return false;
  return version.length === wanted.length ? version > wanted : version.length > wanted.length;
}

function keyOnly({ name, namespace }: ObjectKey): ObjectKey {
  return namespace === undefined ? { name } : { name, namespace };
}

function sameResource(one: Resource<KubeObject>, other: Resource<KubeObject>): boolean {
  return one.group === other.group && one.plural === other.plural;
}

function idOf(resource: Resource<KubeObject>, name: string): string {
  return `${resource.plural}${resource.group === "" ? "" : `.${resource.group}`} ${name}`;
}
