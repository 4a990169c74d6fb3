import type { PodDisruptionBudget } from "../kube/index.js";
import { metadataOf, selectorOf, serviceName, type ClusterIdentity, type Component } from "./identity.js";

/**
 * Builds the budget of a component. Pods that are not ready may always be evicted: keeping them helps nobody and blocks a node's drain.
 *
 * @param minAvailable what the plan computed from the regions' safety
 */
export function buildDisruptionBudget(
  cluster: ClusterIdentity,
  component: Component,
  minAvailable: number,
): PodDisruptionBudget {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: metadataOf(cluster, serviceName(cluster, component), component),
    spec: {
      minAvailable,
      selector: { matchLabels: selectorOf(cluster, component) },
      unhealthyPodEvictionPolicy: "AlwaysAllow",
    },
  };
}
