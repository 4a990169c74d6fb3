/**
 * kube: the Kubernetes API, as much of it as an operator needs. Endpoint and credentials (client-node reads kubeconfig and runs credential
 * plugins; nothing else of it is used but the port-forward), a JSON client, and informers. Called by the operator's Kubernetes platform,
 * by `runtime/` beside it and by `kubectl rhea`. It decides nothing: which object to write, and when, is the callers' part.
 *
 * Every call throws RheaError: KUBE_NOT_FOUND (404), KUBE_CONFLICT (409), ALREADY_EXISTS (409 on creation), KUBE_FORBIDDEN (401, 403),
 * KUBE_INVALID (400, 422: immutable fields, CEL rules), SERVER_BUSY (429), KUBE_API (5xx, 410, answers that make no sense), UNAVAILABLE
 * (connection), DEADLINE_EXCEEDED, CANCELLED. `details.kube` has status, reason and message of the answer.
 */
export { createKubeClient } from "./client.js";
export type {
  ApplyOptions,
  CallOptions,
  DeleteOptions,
  Eviction,
  KubeClient,
  KubeClientOptions,
  KubePage,
  ListOptions,
  Selection,
  WatchOptions,
  WriteOptions,
} from "./client.js";
export type { RequestReport } from "./call.js";
export { loadKubeConfig } from "./endpoint.js";
export type { KubeConnection, KubeEndpoint } from "./endpoint.js";
export { createInformer } from "./informer.js";
export type { Change, Informer, InformerCounters, InformerOptions, InformerView } from "./informer.js";
export { isGone, isKubeConflict, isKubeNotFound } from "./kube-error.js";
export { objectKey } from "./objects.js";
export type {
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
  ObjectMeta,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  Secret,
  Service,
  ServiceAccount,
  StorageClass,
  Wire,
} from "./objects.js";
export { createPortForward } from "./port-forward.js";
export type { PortForwarder } from "./port-forward.js";
export { RESOURCES, apiVersionOf, defineResource } from "./resources.js";
export type { Resource } from "./resources.js";
export type { WatchEvent } from "./watch-stream.js";
