import type { WantedLeaf } from "../../certificates/index.js";
import type { Action, Observed } from "../../plan/index.js";
import {
  clientSecretName,
  memberHost,
  serviceHost,
  tlsSecretName,
  type ClusterIdentity,
  type Component,
} from "../../specs/index.js";
import type { ClusterObjects } from "./cluster-objects.js";

/** Whoever runs a tool inside the pod, or through a port-forward, comes by these. */
const LOCAL = { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] };

/**
 * Lists the certificates that a cluster needs: of all members, those that are about to be made among them, and of clients. A member that
 * leaves for good needs none any more.
 */
export function wantedLeaves(
  { identity }: ClusterObjects,
  { pds, stores, view }: Observed,
  actions: readonly Action[],
): readonly WantedLeaf[] {
  const gone = new Set([
    ...(view?.stores ?? []).filter(({ state }) => state === "tombstone").map(({ name }) => name),
    ...actions.flatMap((action) => (action.kind === "deletePd" || action.kind === "deleteStore" ? [action.name] : [])),
  ]);
  const added = (kind: Action["kind"]) =>
    actions.flatMap((action) => (action.kind === kind && "name" in action ? [action.name] : []));
  const namesOf = (records: readonly { readonly name: string }[], kind: Action["kind"]) =>
    [...new Set([...records.map(({ name }) => name), ...added(kind)])].filter((name) => !gone.has(name));
  return [
    ...namesOf(pds, "addPd").map((name) => memberLeaf(identity, "pd", name)),
    ...namesOf(stores, "addStore").map((name) => memberLeaf(identity, "store", name)),
    { name: clientSecretName(identity), commonName: clientSecretName(identity), dnsNames: [], usages: "client" },
  ];
}

/** Members serve under their own name and under that of the service, with and without the usual domain of clusters. */
function memberLeaf(cluster: ClusterIdentity, component: Component, name: string): WantedLeaf {
  const hosts = [memberHost(cluster, component, name), serviceHost(cluster, component)];
  return {
    name: tlsSecretName(name),
    commonName: name,
    dnsNames: [...hosts, ...hosts.map((host) => `${host}.cluster.local`), ...LOCAL.dnsNames],
    ipAddresses: LOCAL.ipAddresses,
    usages: "both",
  };
}
