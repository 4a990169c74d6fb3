/** The kinds that the operator reads and writes, as values: where the API server serves each. */
import type {
  ConfigMap,
  CoreEvent,
  CustomObject,
  CustomResourceDefinition,
  KubeEvent,
  KubeObject,
  Lease,
  Namespace,
  NetworkPolicy,
  Node,
  ObjectKey,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  Secret,
  Service,
  ServiceAccount,
  StorageClass,
} from "./objects.js";
import { InvariantError } from "@rhea/common";

declare const objectType: unique symbol;

/** A kind of object and its place in the API. `T` is the object's type; it exists for the compiler only. */
export interface Resource<T extends KubeObject> {
  /** API group; empty for the core group. */
  readonly group: string;
  readonly version: string;
  /** Lower-case plural, as in the path: `pods`. */
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly [objectType]?: T;
}

/** Describes a kind, for custom resources whose type the caller has. */
export function defineResource<T extends KubeObject>(place: {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}): Resource<T> {
  return place;
}

function namespaced<T extends KubeObject>(group: string, version: string, plural: string, kind: string): Resource<T> {
  return { group, version, plural, kind, namespaced: true };
}

function clusterWide<T extends KubeObject>(group: string, version: string, plural: string, kind: string): Resource<T> {
  return { group, version, plural, kind, namespaced: false };
}

/** Every kind in use here. */
export const RESOURCES = {
  configMaps: namespaced<ConfigMap>("", "v1", "configmaps", "ConfigMap"),
  coreEvents: namespaced<CoreEvent>("", "v1", "events", "Event"),
  customResourceDefinitions: clusterWide<CustomResourceDefinition>(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
  ),
  events: namespaced<KubeEvent>("events.k8s.io", "v1", "events", "Event"),
  leases: namespaced<Lease>("coordination.k8s.io", "v1", "leases", "Lease"),
  namespaces: clusterWide<Namespace>("", "v1", "namespaces", "Namespace"),
  networkPolicies: namespaced<NetworkPolicy>("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
  nodes: clusterWide<Node>("", "v1", "nodes", "Node"),
  persistentVolumeClaims: namespaced<PersistentVolumeClaim>(
    "",
    "v1",
    "persistentvolumeclaims",
    "PersistentVolumeClaim",
  ),
  persistentVolumes: clusterWide<PersistentVolume>("", "v1", "persistentvolumes", "PersistentVolume"),
  podDisruptionBudgets: namespaced<PodDisruptionBudget>("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
  pods: namespaced<Pod>("", "v1", "pods", "Pod"),
  rheaClusters: namespaced<CustomObject>("rheakv.io", "v1alpha1", "rheaclusters", "RheaCluster"),
  rheaStores: namespaced<CustomObject>("rheakv.io", "v1alpha1", "rheastores", "RheaStore"),
  secrets: namespaced<Secret>("", "v1", "secrets", "Secret"),
  serviceAccounts: namespaced<ServiceAccount>("", "v1", "serviceaccounts", "ServiceAccount"),
  services: namespaced<Service>("", "v1", "services", "Service"),
  storageClasses: clusterWide<StorageClass>("storage.k8s.io", "v1", "storageclasses", "StorageClass"),
} as const;

/** Returns the `apiVersion` of a kind's objects: `v1`, `policy/v1`. */
export function apiVersionOf(resource: Resource<KubeObject>): string {
  return resource.group === "" ? resource.version : `${resource.group}/${resource.version}`;
}

/** Returns the path of a collection; without a namespace, of all namespaces. */
export function collectionPath(resource: Resource<KubeObject>, namespace: string | undefined): string {
  const root = resource.group === "" ? "/api" : `/apis/${resource.group}`;
  const scope = namespace === undefined || namespace === "" ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}/${resource.version}${scope}/${resource.plural}`;
}

/** Returns the path of one object. Throws InvariantError when the name is empty or the namespace does not fit the kind. */
export function objectPath(resource: Resource<KubeObject>, key: ObjectKey, subresource?: string): string {
  const hasNamespace = key.namespace !== undefined && key.namespace !== "";
  if (key.name === "" || hasNamespace !== resource.namespaced) {
    throw new InvariantError(
      `${resource.kind} "${key.namespace ?? ""}/${key.name}": ${resource.namespaced ? "needs a namespace and a name" : "has no namespace and needs a name"}`,
    );
  }
  const suffix = subresource === undefined ? "" : `/${subresource}`;
  return `${collectionPath(resource, key.namespace)}/${encodeURIComponent(key.name)}${suffix}`;
}
