/** What the Kubernetes platform takes from outside. Nothing in this folder reads a clock, a file or a socket by itself. */
import type { Admin } from "@rhea/client";
import type { Clock, Logger } from "@rhea/common";
import type { RheaClusterSpec, RheaClusterStatus, RheaStoreSpec, RheaStoreStatus } from "../../api/index.js";
import {
  defineResource,
  type InformerView,
  type KubeClient,
  type KubeObject,
  type NetworkPolicy,
  type Node,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Pod,
  type PodDisruptionBudget,
  type Secret,
  type Service,
  type StorageClass,
} from "../../kube/index.js";
import type { PdView } from "../../plan/index.js";
import type { EventRecorder, Expectations } from "../../runtime/index.js";
import type { SecretContent } from "../../certificates/index.js";
import type { CertificateMaker, CertificateMemory } from "./certificates.js";
import type { PlatformMetrics } from "./metrics.js";

/** A RheaCluster as the API server keeps it. */
export interface RheaClusterObject extends KubeObject {
  readonly spec: RheaClusterSpec;
  readonly status?: RheaClusterStatus;
}

/** A RheaStore as the API server keeps it. */
export interface RheaStoreObject extends KubeObject {
  readonly spec: RheaStoreSpec;
  readonly status?: RheaStoreStatus;
}

const custom = { group: "rheakv.io", version: "v1alpha1", namespaced: true } as const;
/** The kind that users write. */
export const CLUSTERS = defineResource<RheaClusterObject>({ ...custom, plural: "rheaclusters", kind: "RheaCluster" });
/** The kind of the stores' records. */
export const STORES = defineResource<RheaStoreObject>({ ...custom, plural: "rheastores", kind: "RheaStore" });

/** All that is read of Kubernetes, by plural. */
export interface Caches {
  readonly rheaclusters: InformerView<RheaClusterObject>;
  readonly rheastores: InformerView<RheaStoreObject>;
  readonly pods: InformerView<Pod>;
  readonly persistentvolumeclaims: InformerView<PersistentVolumeClaim>;
  readonly persistentvolumes: InformerView<PersistentVolume>;
  readonly nodes: InformerView<Node>;
  readonly storageclasses: InformerView<StorageClass>;
  readonly services: InformerView<Service>;
  readonly secrets: InformerView<Secret>;
  readonly poddisruptionbudgets: InformerView<PodDisruptionBudget>;
  readonly networkpolicies: InformerView<NetworkPolicy>;
}

/** The certificate with which PD is asked, as PEM. */
export interface PdCredentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Which PD is asked, and how. */
export interface PdTarget {
  /** `namespace/name` of the RheaCluster. */
  readonly clusterKey: string;
  readonly clusterId: number;
  /** Addresses of the members as their certificates name them, HOST:PORT. */
  readonly addresses: readonly string[];
  /** Where to connect to for such an address: the pod's own, where it is known. */
  readonly dial: (address: string) => string;
  readonly tls?: PdCredentials;
}

/** The calls to PD that the platform makes. */
export type PdCalls = Pick<
  Admin,
  | "clusterInfo"
  | "members"
  | "stores"
  | "regions"
  | "operations"
  | "setClusterConfig"
  | "drainStore"
  | "cancelDrain"
  | "removeStore"
  | "reportDiskLost"
  | "addOperation"
  | "removeMember"
  | "transferPdLeader"
  | "evictLeaders"
  | "releaseLeaders"
  | "setStoreLabels"
  | "close"
>;

/** Settings of the operator. */
export interface OperatorSettings {
  /** Image of new pods where the RheaCluster names none; full reference. */
  readonly defaultImage: string;
}

/** Everything that one pass over a cluster uses. */
export interface PlatformDeps {
  readonly kube: KubeClient;
  readonly caches: Caches;
  /** Makes the calls to a PD. Nothing is sent before the first of them. */
  readonly connectPd: (target: PdTarget) => PdCalls;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Asked right before each write. */
  readonly isLeader: () => boolean;
  readonly events: Pick<EventRecorder, "record">;
  readonly expectations: Expectations;
  readonly certificates: CertificateMaker;
  readonly settings: OperatorSettings;
  readonly metrics: PlatformMetrics | undefined;
  /** What is remembered of each cluster, by key. All of it may be lost at any time: it only spares work. */
  readonly memory: Map<string, ClusterMemory>;
}

/** What is remembered of a cluster between two passes. */
export interface ClusterMemory {
  /** uid of the RheaCluster: nothing of an earlier one of the same name is known of this one. */
  readonly uid: string;
  pd: { readonly identity: string; readonly calls: PdCalls } | undefined;
  /** PD's last answer and when it was asked, on the monotonic clock. */
  view: { readonly value: PdView; readonly atMs: number } | undefined;
  /** What kept PD from answering when it was asked last; absent while it answers. `seenMs` is when the same was met last, on the monotonic clock. */
  pdError: { readonly text: string; readonly seenMs: number } | undefined;
  /** Times in a row that PD did not answer. */
  pdFailures: number;
  /** PD was told to do something since: its last answer is from before. */
  isViewOutdated: boolean;
  /** The runs of containers, by uid of their pod. */
  readonly runs: Map<string, ContainerRun>;
  /** When each node was first seen to be gone, by name, on the monotonic clock. */
  readonly goneNodes: Map<string, number>;
  /** Actions of the last pass by description: an event is recorded for what is new. */
  lastActions: ReadonlySet<string>;
  /** What failed when it was tried last, by description. */
  failures: ReadonlyMap<string, string>;
  /** Since when each thing has been held back, on the monotonic clock, and whether an event was recorded of it. */
  held: ReadonlyMap<string, { readonly sinceMs: number; readonly isTold: boolean }>;
  certificates: CertificateMemory | undefined;
  /** The user's own authority as it was read last; `atMs` on the monotonic clock. */
  givenCa: { readonly name: string; readonly content: SecretContent | undefined; readonly atMs: number } | undefined;
  /** Statuses as they were written last, by kind and name. */
  readonly statuses: Map<string, { readonly text: string; readonly atMs: number }>;
}

/** A run of a container as it was first seen. Times are on the monotonic clock. */
export interface ContainerRun {
  /** Changes with each start. */
  readonly id: string;
  readonly sinceMs: number;
  readonly failingSinceMs: number | undefined;
}

/** Returns what is remembered of a cluster. */
export function memoryOf(memory: Map<string, ClusterMemory>, key: string, uid: string): ClusterMemory {
  const known = memory.get(key);
  if (known?.uid === uid) return known;
  known?.pd?.calls.close();
  const fresh: ClusterMemory = {
    uid,
    pd: undefined,
    view: undefined,
    pdError: undefined,
    pdFailures: 0,
    isViewOutdated: false,
    runs: new Map(),
    goneNodes: new Map(),
    lastActions: new Set(),
    failures: new Map(),
    held: new Map(),
    certificates: undefined,
    givenCa: undefined,
    statuses: new Map(),
  };
  memory.set(key, fresh);
  return fresh;
}
