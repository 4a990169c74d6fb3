/** Caches and a client in memory, for the tests beside it. What is written stands in the caches at once. */
import { RheaError, silentLogger } from "@rhea/common";
import type { RheaClusterSpec } from "../../api/index.js";
import {
  RESOURCES,
  objectKey,
  type InformerView,
  type KubeClient,
  type KubeObject,
  type ObjectKey,
  type Resource,
} from "../../kube/index.js";
import { createExpectations } from "../../runtime/index.js";
import { gatherObjects, type ClusterObjects } from "./cluster-objects.js";
import { CLUSTERS, STORES, type Caches, type RheaClusterObject } from "./deps.js";
import { createWriter, type Writer } from "./writer.js";

/** What the tests drive. */
export interface Fixture {
  readonly caches: Caches;
  /** Every write as `verb plural name`. */
  readonly writes: string[];
  /** Puts an object into its cache, as another client's write would. */
  put<T extends KubeObject>(resource: Resource<T>, object: NoInfer<T>): void;
  get<T extends KubeObject>(resource: Resource<T>, name: string): T | undefined;
  objects(): ClusterObjects;
  readonly writer: Writer;
  readonly kube: KubeClient;
}

const NAMESPACE = "ns";
const KEY = `${NAMESPACE}/demo`;

/** Makes a cluster `ns/demo` of nothing but its RheaCluster. */
export function makeFixture(spec: Partial<RheaClusterSpec> = {}): Fixture {
  const stores = new Map<string, Map<string, KubeObject>>();
  const storeOf = (resource: Resource<KubeObject>) => {
    const store = stores.get(resource.plural) ?? new Map<string, KubeObject>();
    stores.set(resource.plural, store);
    return store;
  };
  let version = 100;
  const put = (resource: Resource<KubeObject>, object: KubeObject): KubeObject => {
    version++;
    const before = storeOf(resource).get(objectKey(object));
    const uid = before?.metadata?.uid ?? `uid-${version}`;
    const stored = { ...object, metadata: { uid, ...object.metadata, resourceVersion: String(version) } };
    storeOf(resource).set(objectKey(stored), stored);
    return stored;
  };
  const writes: string[] = [];
  const wrote = (verb: string, resource: Resource<KubeObject>, name: string | undefined) =>
    writes.push(`${verb} ${resource.plural} ${name ?? ""}`);
  const find = (resource: Resource<KubeObject>, key: ObjectKey) => storeOf(resource).get(objectKey({ metadata: key }));
  const client = {
    find: (resource: Resource<KubeObject>, key: ObjectKey) => Promise.resolve(find(resource, key)),
    create: (resource: Resource<KubeObject>, object: KubeObject) => {
      wrote("create", resource, object.metadata?.name);
      if (storeOf(resource).has(objectKey(object)))
        return Promise.reject(new RheaError("ALREADY_EXISTS", `${objectKey(object)} exists`));
      return Promise.resolve(put(resource, object));
    },
    apply: (resource: Resource<KubeObject>, object: KubeObject) => {
      wrote("apply", resource, object.metadata?.name);
      return Promise.resolve(put(resource, object));
    },
    mergePatch: (resource: Resource<KubeObject>, key: ObjectKey, patch: object) => {
      wrote("patch", resource, key.name);
      return Promise.resolve(put(resource, merge(find(resource, key), patch) as KubeObject));
    },
    delete: (resource: Resource<KubeObject>, key: ObjectKey) => {
      wrote("delete", resource, key.name);
      const object = find(resource, key);
      if (object?.metadata?.finalizers !== undefined) {
        put(resource, { ...object, metadata: { ...object.metadata, deletionTimestamp: "2026-05-01T12:00:00Z" } });
        return Promise.resolve("deleting");
      }
      storeOf(resource).delete(objectKey({ metadata: key }));
      return Promise.resolve("gone");
    },
  };
  const kube = client as unknown as KubeClient;
  const view = <T extends KubeObject>(resource: Resource<T>): InformerView<T> => ({
    resource,
    store: storeOf(resource) as ReadonlyMap<string, KubeObject> as ReadonlyMap<string, T>,
    hasSynced: true,
    resourceVersion: "1000000",
    relist: () => Promise.resolve(),
  });
  const caches: Caches = {
    rheaclusters: view(CLUSTERS),
    rheastores: view(STORES),
    pods: view(RESOURCES.pods),
    persistentvolumeclaims: view(RESOURCES.persistentVolumeClaims),
    persistentvolumes: view(RESOURCES.persistentVolumes),
    nodes: view(RESOURCES.nodes),
    storageclasses: view(RESOURCES.storageClasses),
    services: view(RESOURCES.services),
    secrets: view(RESOURCES.secrets),
    poddisruptionbudgets: view(RESOURCES.podDisruptionBudgets),
    networkpolicies: view(RESOURCES.networkPolicies),
  };
  const cluster: RheaClusterObject = {
    metadata: { name: "demo", namespace: NAMESPACE, uid: "cluster-1", generation: 1 },
    spec: { stores: { replicas: 3 }, ...spec },
  };
  put(CLUSTERS, cluster);
  const expectations = createExpectations({ clock: { monotonicMs: () => 0, wallMs: () => 0 }, logger: silentLogger });
  return {
    caches,
    writes,
    kube,
    put: (resource, object) => void put(resource, object),
    get: <T extends KubeObject>(resource: Resource<T>, name: string) =>
      find(resource, resource.namespaced ? { namespace: NAMESPACE, name } : { name }) as T | undefined,
    objects: () =>
      gatherObjects(KEY, caches.rheaclusters.store.get(KEY) ?? cluster, caches, { defaultImage: "rhea:1" }),
    writer: createWriter({ kube, expectations, isLeader: () => true }, KEY, undefined),
  };
}

/** JSON merge patch. */
function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const base = typeof target === "object" && target !== null ? (target as Readonly<Record<string, unknown>>) : {};
  const merged = Object.entries(patch).map(([key, value]) => [key, merge(base[key], value)] as const);
  return { ...base, ...Object.fromEntries(merged) };
}
