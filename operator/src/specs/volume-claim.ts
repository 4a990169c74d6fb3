import type { PersistentVolumeClaim } from "../kube/index.js";
import { claimName, labelsOf, ownedBy, type ClusterIdentity, type Component } from "./identity.js";

/** How large a volume is and of which class. */
export interface VolumeSize {
  /** A Kubernetes quantity. */
  readonly size: string;
  /** Absent: the cluster's default class. */
  readonly className?: string | undefined;
}

/**
 * Builds the claim of a member's volume.
 *
 * @param isOwned whether it goes with the RheaCluster (deletionPolicy Delete); otherwise it stays and is adopted again
 */
export function buildVolumeClaim(
  cluster: ClusterIdentity,
  component: Component,
  member: string,
  volume: "data" | "log",
  { size, className }: VolumeSize,
  isOwned: boolean,
): PersistentVolumeClaim {
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      name: claimName(member, volume),
      namespace: cluster.namespace,
      labels: labelsOf(cluster, component, member),
      ...(isOwned ? { ownerReferences: ownedBy(cluster) } : {}),
    },
    spec: {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: size } },
      ...(className === undefined ? {} : { storageClassName: className }),
    },
  };
}
