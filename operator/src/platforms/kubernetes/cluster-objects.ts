import { RheaError } from "@rhea/common";
import { resolveCluster, type DesiredCluster, type RheaCluster } from "../../api/index.js";
import type { KubeObject, PersistentVolumeClaim, Pod } from "../../kube/index.js";
import {
  CLUSTER_LABEL,
  COMPONENT_LABEL,
  clusterIdOf,
  intentOf,
  type ClusterIdentity,
  type Component,
  type Intent,
} from "../../specs/index.js";
import type { Caches, OperatorSettings, RheaClusterObject, RheaStoreObject } from "./deps.js";

/** One cluster with its objects, as the caches have them at one moment. */
export interface ClusterObjects {
  /** `namespace/name`. */
  readonly key: string;
  readonly object: RheaClusterObject;
  readonly identity: ClusterIdentity;
  readonly desired: DesiredCluster;
  /** What the user asked for, by component: see specs/intent.ts. */
  readonly intents: Readonly<Record<Component, Intent>>;
  /** By name. */
  readonly pods: Readonly<Record<Component, ReadonlyMap<string, Pod>>>;
  readonly claims: Readonly<Record<Component, ReadonlyMap<string, PersistentVolumeClaim>>>;
  readonly records: ReadonlyMap<string, RheaStoreObject>;
  /** Names of claims and records that go with an earlier cluster of the same name; they are in none of the maps. */
  readonly leaving: readonly string[];
}

/** Whether an object belongs to an earlier RheaCluster of the same name: it is about to go with it. */
export function isOfAnother({ metadata }: KubeObject, uid: string): boolean {
  const owners = (metadata?.ownerReferences ?? []).filter(({ kind }) => kind === "RheaCluster");
  return owners.length > 0 && !owners.some((owner) => owner.uid === uid);
}

/** Gathers the objects of a cluster by their labels. */
export function gatherObjects(
  key: string,
  object: RheaClusterObject,
  caches: Caches,
  settings: OperatorSettings,
): ClusterObjects {
  const { name, namespace, uid, generation = 0 } = object.metadata ?? {};
  if (name === undefined || namespace === undefined || uid === undefined)
    throw new RheaError("KUBE_API", `RheaCluster ${key} has no name, namespace or uid`);
  const identity: ClusterIdentity = { name, namespace, uid, clusterId: clusterIdOf(namespace, name) };
  const cluster = { ...object, metadata: { ...object.metadata, name } } as RheaCluster;
  const desired = resolveCluster(cluster, generation, settings);
  const ofCluster = <T extends KubeObject>(store: ReadonlyMap<string, T>, component: Component) =>
    new Map(
      [...store.values()]
        .filter(({ metadata }) => metadata?.namespace === namespace)
        .filter(({ metadata }) => metadata?.labels?.[CLUSTER_LABEL] === name)
        .filter(({ metadata }) => metadata?.labels?.[COMPONENT_LABEL] === component)
        .map((item) => [item.metadata?.name ?? "", item] as const),
    );
  const byComponent = <T extends KubeObject>(store: ReadonlyMap<string, T>) => ({
    pd: ofCluster(store, "pd"),
    store: ofCluster(store, "store"),
  });
  const stays = ([, item]: readonly [string, KubeObject]) => !isOfAnother(item, uid);
  const records = [...caches.rheastores.store.values()]
    .filter(({ metadata, spec }) => metadata?.namespace === namespace && spec.clusterName === name)
    .map((record) => [record.metadata?.name ?? "", record] as const);
  const claims = byComponent(caches.persistentvolumeclaims.store);
  const leaving = [...claims.pd, ...claims.store, ...records].filter((entry) => !stays(entry)).map(([each]) => each);
  return {
    key,
    object,
    identity,
    desired,
    intents: { pd: intentOf(cluster, "pd", desired.image), store: intentOf(cluster, "store", desired.image) },
    pods: byComponent(caches.pods.store),
    claims: { pd: new Map([...claims.pd].filter(stays)), store: new Map([...claims.store].filter(stays)) },
    records: new Map(records.filter(stays)),
    leaving,
  };
}
