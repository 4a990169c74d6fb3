/** Informers and workers around the pass over one cluster. */
import type { Clock, Logger, Rng, Scheduler } from "@rhea/common";
import {
  RESOURCES,
  createInformer,
  type Change,
  type Informer,
  type KubeClient,
  type KubeObject,
  type Node,
  type Resource,
} from "../../kube/index.js";
import {
  createController,
  createExpectations,
  createWorkQueue,
  type EventRecorder,
  type RuntimeMetrics,
} from "../../runtime/index.js";
import { CLUSTER_LABEL, MANAGED_BY, MANAGER } from "../../specs/index.js";
import type { CertificateMaker } from "./certificates.js";
import { CLUSTERS, STORES, type OperatorSettings, type PdCalls, type PdTarget, type PlatformDeps } from "./deps.js";
import type { PlatformMetrics } from "./metrics.js";
import { forgetCluster, reconcileCluster } from "./reconcile.js";

const WORKERS = 4;
const MANAGED = `${MANAGED_BY}=${MANAGER}`;

/** What the clusters of a namespace, or of all, are looked after with. */
export interface ClusterControllerOptions {
  readonly kube: KubeClient;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly logger: Logger;
  /** Asked right before each write. Default yes: for those who run one operator only. */
  readonly isLeader?: () => boolean;
  readonly connectPd: (target: PdTarget) => PdCalls;
  readonly certificates: CertificateMaker;
  readonly events: Pick<EventRecorder, "record">;
  readonly settings: OperatorSettings;
  /** Default all namespaces. */
  readonly namespace?: string;
  /** Clusters that are worked on at the same time. Default 4. */
  readonly workers?: number;
  readonly metrics?: { readonly runtime: RuntimeMetrics; readonly platform: PlatformMetrics };
}

/** Looks after clusters. */
export interface ClusterController {
  /** Starts to list and watch, and to reconcile once all caches are filled: then it resolves. */
  start(): Promise<void>;
  readonly hasSynced: boolean;
  /** Ends the passes under way, then all else. */
  close(): Promise<void>;
}

/** Makes the controller. It writes nothing unless `isLeader` says so right then. */
export function createClusterController(options: ClusterControllerOptions): ClusterController {
  const { kube, clock, scheduler, rng, logger, metrics, settings } = options;
  const queueMetrics = metrics?.runtime.queue("rheacluster");
  const queue = createWorkQueue({
    ...{ clock, scheduler },
    ...(queueMetrics === undefined ? {} : { metrics: queueMetrics }),
  });

  const addCluster = (namespace: string | undefined, name: string | undefined) => {
    if (namespace !== undefined && name !== undefined && name !== "") queue.add(`${namespace}/${name}`);
  };
  const addByLabel = ({ object: { metadata } }: Change<KubeObject>) =>
    addCluster(metadata?.namespace, metadata?.labels?.[CLUSTER_LABEL]);
  const addAll = () => {
    for (const key of caches.rheaclusters.store.keys()) queue.add(key);
  };

  const informers: Informer<KubeObject>[] = [];
  const informer = <T extends KubeObject>(
    resource: Resource<T>,
    onChange: ((change: Change<T>) => void) | undefined,
    labelSelector?: string,
  ): Informer<T> => {
    const made = createInformer<T>({
      ...{ client: kube, resource, clock, scheduler, rng, logger },
      ...(resource.namespaced && options.namespace !== undefined ? { namespace: options.namespace } : {}),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(onChange === undefined ? {} : { onChange }),
    });
    informers.push(made);
    metrics?.runtime.informer(made);
    return made;
  };
  const caches = {
    rheaclusters: informer(CLUSTERS, ({ key }) => queue.add(key)),
    rheastores: informer(STORES, ({ object }) => addCluster(object.metadata?.namespace, object.spec.clusterName)),
    pods: informer(RESOURCES.pods, addByLabel, MANAGED),
    persistentvolumeclaims: informer(RESOURCES.persistentVolumeClaims, addByLabel, MANAGED),
    persistentvolumes: informer(RESOURCES.persistentVolumes, undefined), // their claims tell
    nodes: informer(RESOURCES.nodes, (change) => {
      if (matters(change)) addAll();
    }),
    storageclasses: informer(RESOURCES.storageClasses, addAll),
    services: informer(RESOURCES.services, addByLabel, MANAGED),
    secrets: informer(RESOURCES.secrets, addByLabel, MANAGED),
    poddisruptionbudgets: informer(RESOURCES.podDisruptionBudgets, addByLabel, MANAGED),
    networkpolicies: informer(RESOURCES.networkPolicies, addByLabel, MANAGED),
  };
  const deps: PlatformDeps = {
    ...{ kube, caches, clock, logger, settings },
    ...{ isLeader: options.isLeader ?? (() => true), connectPd: options.connectPd, certificates: options.certificates },
    events: options.events,
    expectations: createExpectations({ clock, logger }),
    metrics: metrics?.platform,
    memory: new Map(),
  };
  const controller = createController({
    name: "rheacluster",
    queue,
    workers: options.workers ?? WORKERS,
    reconcile: (key, signal) => reconcileCluster(deps, key, signal),
    ...{ clock, logger },
    ...(metrics === undefined ? {} : { metrics: metrics.runtime }),
  });

  let isClosed = false;
  return {
    async start() {
      for (const each of informers) each.start();
      try {
        await Promise.all(informers.map((each) => each.synced()));
      } catch (error) {
        if (isClosed) return;
        throw error;
      }
      if (!isClosed) controller.start();
    },
    get hasSynced() {
      return informers.every((each) => each.hasSynced);
    },
    async close() {
      isClosed = true;
      await controller.close();
      await Promise.all(informers.map((each) => each.close()));
      for (const key of [...deps.memory.keys()]) forgetCluster(deps, key);
    },
  };
}

/** A node's status is written every few minutes: only its readiness, its cordon and its labels matter here. */
function matters({ kind, object, previous }: Change<Node>): boolean {
  return kind !== "updated" || previous === undefined || gist(object) !== gist(previous);
}

function gist({ metadata, spec, status }: Node): string {
  const ready = status?.conditions?.find(({ type }) => type === "Ready")?.status;
  return JSON.stringify([ready, spec?.unschedulable === true, metadata?.labels]);
}
