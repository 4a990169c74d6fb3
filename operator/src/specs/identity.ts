/** What a cluster and its parts are called, and how their objects are marked. The names are a contract with users: see operator/README.md. */
import { createHash } from "node:crypto";
import type { ObjectMeta } from "../kube/index.js";

/** What every object of a cluster is derived from. */
export interface ClusterIdentity {
  readonly name: string;
  readonly namespace: string;
  /** metadata.uid of the RheaCluster. */
  readonly uid: string;
  /** See {@link clusterIdOf}. */
  readonly clusterId: number;
}

/** The two kinds of processes. */
export type Component = "store" | "pd";

/** Ports in pods and of services. */
export const PORTS = { pd: 7400, pdStatus: 7401, store: 7410, storeStatus: 7411 } as const;

/** The field manager and the value of `app.kubernetes.io/managed-by`. */
export const MANAGER = "rhea-operator";

/** Label with the cluster's name; with {@link MANAGED_BY} it finds all objects of a cluster. */
export const CLUSTER_LABEL = "rheakv.io/cluster";
/** Label with the name of the store or PD member that an object belongs to. */
const MEMBER_LABEL = "rheakv.io/store";
/** Label of everything that the operator keeps. */
export const MANAGED_BY = "app.kubernetes.io/managed-by";
/** Label that tells stores and PD members apart. */
export const COMPONENT_LABEL = "app.kubernetes.io/component";

/** Annotation of a data volume's claim: the member has served, so without this volume its data are lost. */
export const INITIALISED_ANNOTATION = "rheakv.io/initialised";
/** Annotation of the services: the lowest ordinal that was never given out. */
export const NEXT_ORDINAL_ANNOTATION = "rheakv.io/next-ordinal";
/** On a RheaCluster: another value asks for a restart of every pod, one by one (`kubectl rhea restart`). */
export const RESTARTED_AT_ANNOTATION = "rheakv.io/restarted-at";
/** Annotation of pods: what the user had asked for when the pod was made (JSON of text to text). */
export const INTENT_ANNOTATION = "rheakv.io/intent";

/** The API of the custom resources. */
export const API_VERSION = "rheakv.io/v1alpha1";

/**
 * Computes the cluster's id from its place: the first 48 bits of a hash of `namespace/name`, at least 1. So there is no id to lose, and a
 * cluster that is made again under its name finds its old volumes to be its own.
 */
export function clusterIdOf(namespace: string, name: string): number {
  return Math.max(1, createHash("sha256").update(`${namespace}/${name}`).digest().readUIntBE(0, 6));
}

/** Returns the ordinal in a member's name; undefined if the name is none of this cluster and component. */
export function ordinalOf(
  cluster: Pick<ClusterIdentity, "name">,
  component: Component,
  name: string,
): number | undefined {
  const prefix = `${cluster.name}-${component}-`;
  const digits = name.startsWith(prefix) ? name.slice(prefix.length) : "";
  return /^(0|[1-9][0-9]{0,8})$/.test(digits) ? Number(digits) : undefined;
}

/** Returns the name of the headless service that gives pods their names in DNS. */
export function serviceName(cluster: Pick<ClusterIdentity, "name">, component: Component): string {
  return component === "pd" ? `${cluster.name}-pd` : `${cluster.name}-stores`;
}

/** Returns the name of the claim of a member's data, or of a store's log if that has a volume of its own. */
export function claimName(member: string, volume: "data" | "log"): string {
  return `${volume}-${member}`;
}

/** Returns the name of a member's certificate. */
export function tlsSecretName(member: string): string {
  return `${member}-tls`;
}

/** Returns the name of what applications mount: certificate authority, certificate, key, addresses. */
export function clientSecretName(cluster: Pick<ClusterIdentity, "name">): string {
  return `${cluster.name}-client`;
}

/** Returns the name of the certificate authority's secret. */
export function caSecretName(cluster: Pick<ClusterIdentity, "name">): string {
  return `${cluster.name}-ca`;
}

/** Returns the address under which all others reach a member; its host is the name in its certificate. */
export function memberAddress(cluster: ClusterIdentity, component: Component, name: string): string {
  return `${memberHost(cluster, component, name)}:${PORTS[component]}`;
}

/** Returns the DNS name of a member. */
export function memberHost(cluster: ClusterIdentity, component: Component, name: string): string {
  return `${name}.${serviceHost(cluster, component)}`;
}

/** Returns the DNS name that stands for all PD members, or for all stores. */
export function serviceHost(cluster: ClusterIdentity, component: Component): string {
  return `${serviceName(cluster, component)}.${cluster.namespace}.svc`;
}

/** Returns the address of all PD members, or of all stores. */
export function serviceAddress(cluster: ClusterIdentity, component: Component): string {
  return `${serviceHost(cluster, component)}:${PORTS[component]}`;
}

/** Returns the labels by which services, budgets and policies choose pods. They never change, so they are few. */
export function selectorOf(cluster: Pick<ClusterIdentity, "name">, component?: Component): Record<string, string> {
  return {
    [CLUSTER_LABEL]: cluster.name,
    ...(component === undefined ? {} : { [COMPONENT_LABEL]: component }),
  };
}

/** Returns all labels of an object of a cluster, of a component, of a member. */
export function labelsOf(
  cluster: Pick<ClusterIdentity, "name">,
  component?: Component,
  member?: string,
): Record<string, string> {
  return {
    "app.kubernetes.io/name": "rhea",
    "app.kubernetes.io/instance": cluster.name,
    [MANAGED_BY]: MANAGER,
    ...selectorOf(cluster, component),
    ...(member === undefined ? {} : { [MEMBER_LABEL]: member }),
  };
}

type OwnerReferences = NonNullable<ObjectMeta["ownerReferences"]>;

/** Returns the reference by which an object goes when its cluster goes. It blocks nothing. */
export function ownedBy(cluster: Pick<ClusterIdentity, "name" | "uid">): OwnerReferences {
  return [{ apiVersion: API_VERSION, kind: "RheaCluster", name: cluster.name, uid: cluster.uid, controller: true }];
}

/** Returns the metadata of an object that goes with its cluster. */
export function metadataOf(
  cluster: ClusterIdentity,
  name: string,
  component?: Component,
  member?: string,
): ObjectMeta & { readonly name: string; readonly namespace: string } {
  return {
    name,
    namespace: cluster.namespace,
    labels: labelsOf(cluster, component, member),
    ownerReferences: ownedBy(cluster),
  };
}
