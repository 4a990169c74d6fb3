import type { KubeObject } from "../kube/index.js";
import { API_VERSION, metadataOf, type ClusterIdentity } from "./identity.js";

/** The parts of a RheaStore that the operator says; `drain` and `removeFirst` belong to users and are never in it. */
export interface RheaStoreRecord extends KubeObject {
  readonly spec: { readonly clusterName: string; readonly ordinal: number };
}

/** Builds the record of a store. */
export function buildRheaStore(cluster: ClusterIdentity, name: string, ordinal: number): RheaStoreRecord {
  return {
    apiVersion: API_VERSION,
    kind: "RheaStore",
    metadata: metadataOf(cluster, name, "store", name),
    spec: { clusterName: cluster.name, ordinal },
  };
}
