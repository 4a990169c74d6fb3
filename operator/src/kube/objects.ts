/** Kubernetes objects as they are in JSON. The shapes are client-node's; the values are what the API server sends. */
import type {
  CoreV1Event,
  EventsV1Event,
  V1ConfigMap,
  V1CustomResourceDefinition,
  V1Lease,
  V1Namespace,
  V1NetworkPolicy,
  V1Node,
  V1ObjectMeta,
  V1PersistentVolume,
  V1PersistentVolumeClaim,
  V1Pod,
  V1PodDisruptionBudget,
  V1Secret,
  V1Service,
  V1ServiceAccount,
  V1StorageClass,
} from "@kubernetes/client-node";

/** Turns a class of client-node into its JSON: times are strings (RFC 3339), and a field that client-node calls `_from` is `from`. */
export type Wire<T> = T extends Date
  ? string
  : T extends readonly (infer U)[]
    ? readonly Wire<U>[]
    : T extends object
      ? { readonly [K in keyof T as K extends `_${infer Name}` ? Name : K]: Wire<T[K]> }
      : T;

/** Names an object, says what owns it and which version of it this is. */
export type ObjectMeta = Wire<V1ObjectMeta>;

/** What every object has. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: ObjectMeta;
}

/** Names an object within its kind. Invariant: `namespace` is set exactly for namespaced kinds. */
export interface ObjectKey {
  readonly name: string;
  readonly namespace?: string;
}

export type ConfigMap = Wire<V1ConfigMap>;
/** An event of `events.k8s.io/v1`. */
export type KubeEvent = Wire<EventsV1Event>;
/** The same object in the older core form, as `kubectl get events` prints it. */
export type CoreEvent = Wire<CoreV1Event>;
export type CustomResourceDefinition = Wire<V1CustomResourceDefinition>;
export type Lease = Wire<V1Lease>;
export type Namespace = Wire<V1Namespace>;
export type NetworkPolicy = Wire<V1NetworkPolicy>;
export type Node = Wire<V1Node>;
export type PersistentVolume = Wire<V1PersistentVolume>;
export type PersistentVolumeClaim = Wire<V1PersistentVolumeClaim>;
export type Pod = Wire<V1Pod>;
export type PodDisruptionBudget = Wire<V1PodDisruptionBudget>;
export type Secret = Wire<V1Secret>;
export type Service = Wire<V1Service>;
export type ServiceAccount = Wire<V1ServiceAccount>;
export type StorageClass = Wire<V1StorageClass>;

/** An object of a custom resource whose type the caller does not need. */
export interface CustomObject extends KubeObject {
  readonly spec?: unknown;
  readonly status?: unknown;
}

/** Writes the key under which an informer keeps an object: `namespace/name`, or `name` for cluster-wide kinds. */
export function objectKey(object: KubeObject): string {
  const { namespace, name } = object.metadata ?? {};
  return namespace === undefined || namespace === "" ? (name ?? "") : `${namespace}/${name ?? ""}`;
}
