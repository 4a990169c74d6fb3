/** Reads a RheaCluster and what belongs to it from Kubernetes. */
import type { Duplex } from "node:stream";
import { RheaError } from "@rhea/common";
import type { RheaCluster, RheaClusterStatus, RheaStore } from "@rhea/operator";
import { RESOURCES, type KubeClient, type Pod } from "@rhea/operator/kube";

/** Label that every object of a cluster carries. */
const CLUSTER_LABEL = "rheakv.io/cluster";

/** How the commands reach Kubernetes; tests give one on maps. */
export interface KubeAccess {
  /** The namespace asked for, or that of the context. */
  readonly namespace: string;
  readonly client: Pick<KubeClient, "find" | "list" | "mergePatch" | "podLog">;
  /** Carries a byte stream to a port of a pod. */
  forward(pod: string, port: number, socket: Duplex): Promise<{ close(): Promise<void> }>;
  close(): void;
}

/** A cluster by its name, with its status where the operator has written one. */
export interface FoundCluster {
  readonly name: string;
  readonly namespace: string;
  readonly object: RheaCluster;
  readonly status: Partial<RheaClusterStatus>;
}

/** Reads a RheaCluster. Throws NOT_FOUND with the names that there are. */
export async function findRheaCluster(kube: KubeAccess, name: string): Promise<FoundCluster> {
  const { namespace } = kube;
  const object = (await kube.client.find(RESOURCES.rheaClusters, { namespace, name })) as RheaCluster | undefined;
  if (object === undefined) {
    const { items } = await kube.client.list(RESOURCES.rheaClusters, { namespace });
    const names = items.map(({ metadata }) => metadata?.name ?? "");
    const known = names.length === 0 ? "there is none in this namespace" : `there is ${names.join(", ")}`;
    throw new RheaError(
      "NOT_FOUND",
      `RheaCluster ${name} in namespace ${namespace}: not found, ${known} (-n chooses another)`,
    );
  }
  return { name, namespace, object, status: object.status ?? {} };
}

/** Reads one store's record. Throws NOT_FOUND with the names that there are. */
export async function findRheaStore(kube: KubeAccess, cluster: FoundCluster, name: string): Promise<RheaStore> {
  const all = await listRheaStores(kube, cluster);
  const store = all.find(({ metadata }) => metadata?.name === name);
  if (store !== undefined) return store;
  const names = all.map(({ metadata }) => metadata?.name ?? "").join(", ");
  throw new RheaError("NOT_FOUND", `store ${name} of cluster ${cluster.name}: not found, there is ${names || "none"}`);
}

/** Reads the cluster's store records, by name. */
export async function listRheaStores(
  kube: KubeAccess,
  { name, namespace }: FoundCluster,
): Promise<readonly RheaStore[]> {
  const { items } = await kube.client.list(RESOURCES.rheaStores, {
    namespace,
    labelSelector: `${CLUSTER_LABEL}=${name}`,
  });
  return (items as readonly RheaStore[]).toSorted(byName);
}

/** Reads the cluster's pods, by name. */
export async function listPods(kube: KubeAccess, { name, namespace }: FoundCluster): Promise<readonly Pod[]> {
  const { items } = await kube.client.list(RESOURCES.pods, { namespace, labelSelector: `${CLUSTER_LABEL}=${name}` });
  return items.toSorted(byName);
}

/** Ascending by name, numbers in it by value: store-9 before store-10. */
function byName(a: { metadata?: { name?: string } }, b: { metadata?: { name?: string } }): number {
  return (a.metadata?.name ?? "").localeCompare(b.metadata?.name ?? "", "en", { numeric: true });
}
