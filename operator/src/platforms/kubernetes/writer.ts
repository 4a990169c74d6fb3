/** The writes of one pass: each is remembered until the caches show it, and only the leader makes any. */
import { RheaError } from "@rhea/common";
import type { KubeObject, ObjectKey, Resource } from "../../kube/index.js";
import type { PlatformDeps } from "./deps.js";

/** Writes objects of one cluster. Every call may be repeated without harm. */
export interface Writer {
  /** Makes an object under its fixed name; one that is there is left as it is. */
  create<T extends KubeObject>(resource: Resource<T>, object: NoInfer<T>): Promise<void>;
  /** Sets what the object says and takes over the fields from whoever had them. */
  apply<T extends KubeObject>(resource: Resource<T>, object: NoInfer<T>): Promise<void>;
  /** Sets the status. An object that is gone needs none. */
  applyStatus<T extends KubeObject>(resource: Resource<T>, object: NoInfer<Partial<T>> & KubeObject): Promise<void>;
  /** Changes some fields of an object as it was seen: KUBE_CONFLICT if it has changed since. */
  patch<T extends KubeObject>(resource: Resource<T>, seen: NoInfer<T>, change: object): Promise<void>;
  /**
   * Deletes this very object. Does nothing if it is being deleted already, unless `graceSeconds` cuts its time short. Returns whether it is
   * gone; it may have to wait for its grace, or for others that use it.
   */
  remove<T extends KubeObject>(resource: Resource<T>, seen: NoInfer<T>, graceSeconds?: number): Promise<boolean>;
  /** Writes made so far. */
  readonly count: number;
}

/** A write that takes longer is given up: what it was decided by is old by then. */
const TIMEOUT_MS = 10_000;

/** Makes the writer of one pass over the cluster `key`. */
export function createWriter(
  { kube, expectations, isLeader }: Pick<PlatformDeps, "kube" | "expectations" | "isLeader">,
  key: string,
  signal: AbortSignal | undefined,
): Writer {
  let count = 0;
  const options = { timeoutMs: TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) };

  const begin = () => {
    if (!isLeader()) throw new RheaError("CANCELLED", "this operator does not lead any more: it writes nothing");
    count++;
  };
  const keyOf = ({ metadata }: KubeObject): ObjectKey => {
    const { name = "", namespace } = metadata ?? {};
    return namespace === undefined ? { name } : { name, namespace };
  };
  const wrote = <T extends KubeObject>(resource: Resource<T>, result: T) => {
    const { resourceVersion, uid } = result.metadata ?? {};
    if (resourceVersion === undefined) return;
    const object = { ...keyOf(result), resource, ...(uid === undefined ? {} : { uid }) };
    expectations.observeWrite(key, object, { resourceVersion });
  };

  /** The caches choose by label: an object that is there and not seen may have lost its labels, or be somebody else's. */
  const recognise = async <T extends KubeObject>(resource: Resource<T>, object: T) => {
    const live = await kube.find(resource, keyOf(object), options);
    if (live === undefined) return; // gone in between: the next pass makes it
    const labels = object.metadata?.labels ?? {};
    const hasLabels = Object.entries(labels).every(([name, value]) => live.metadata?.labels?.[name] === value);
    const owner = object.metadata?.ownerReferences?.[0]?.uid;
    const owners = live.metadata?.ownerReferences ?? [];
    const isOurs = owner === undefined || (owners.length === 0 ? hasLabels : owners.some(({ uid }) => uid === owner));
    if (live.metadata?.deletionTimestamp !== undefined || (hasLabels && isOurs)) return;
    if (!isOurs) {
      const { name, namespace = "" } = keyOf(object);
      throw new RheaError(
        "OPERATION_REFUSED",
        `${resource.kind} ${namespace}/${name} is there and does not belong to this cluster: delete or rename it`,
      );
    }
    count++;
    wrote(resource, await kube.mergePatch(resource, keyOf(object), { metadata: { labels } }, options));
  };

  return {
    get count() {
      return count;
    },
    async create(resource, object) {
      begin();
      try {
        wrote(resource, await kube.create(resource, object, options));
      } catch (error) {
        if (RheaError.from(error).code !== "ALREADY_EXISTS") throw error;
        await recognise(resource, object);
      }
    },
    async apply(resource, object) {
      begin();
      wrote(resource, await kube.apply(resource, object, options));
    },
    async applyStatus(resource, object) {
      begin();
      try {
        wrote(resource, await kube.applyStatus(resource, object, options));
      } catch (error) {
        if (RheaError.from(error).code !== "KUBE_NOT_FOUND") throw error;
      }
    },
    async patch(resource, seen, change) {
      begin();
      const { resourceVersion } = seen.metadata ?? {};
      const { metadata, ...rest } = change as { readonly metadata?: object };
      const patch = { ...rest, metadata: { ...metadata, resourceVersion } };
      wrote(resource, await kube.mergePatch(resource, keyOf(seen), patch, options));
    },
    async remove(resource, seen, graceSeconds) {
      const { uid, resourceVersion, deletionTimestamp, deletionGracePeriodSeconds = 0 } = seen.metadata ?? {};
      const isLeaving = deletionTimestamp !== undefined;
      if (isLeaving && (graceSeconds === undefined || deletionGracePeriodSeconds <= graceSeconds)) return false;
      begin();
      try {
        const outcome = await kube.delete(resource, keyOf(seen), {
          ...options,
          propagationPolicy: "Background",
          preconditions: {
            ...(uid === undefined ? {} : { uid }),
            ...(resourceVersion === undefined ? {} : { resourceVersion }),
          },
          ...(graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds }),
        });
        const object = { ...keyOf(seen), resource, ...(uid === undefined ? {} : { uid }) };
        if (outcome === "gone") expectations.observeWrite(key, object, "deleted");
        return outcome === "gone";
      } catch (error) {
        // It is not what it was decided by any more, a pod that runs by now perhaps: the next look decides anew.
        if (RheaError.from(error).code !== "KUBE_CONFLICT") throw error;
        return false;
      }
    },
  };
}
