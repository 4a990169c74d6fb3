/**
 * specs: the Kubernetes objects of a cluster, built. Pure: a RheaCluster with its defaults goes in, an object comes out; the same input
 * gives the same object. Called by platforms/kubernetes, which decides when to write them. Nothing here reads what is there.
 */
export {
  CLUSTER_LABEL,
  COMPONENT_LABEL,
  INITIALISED_ANNOTATION,
  INTENT_ANNOTATION,
  MANAGED_BY,
  MANAGER,
  NEXT_ORDINAL_ANNOTATION,
  PORTS,
  caSecretName,
  claimName,
  clientSecretName,
  clusterIdOf,
  labelsOf,
  memberAddress,
  memberHost,
  ordinalOf,
  ownedBy,
  selectorOf,
  serviceAddress,
  serviceHost,
  serviceName,
  tlsSecretName,
} from "./identity.js";
export type { ClusterIdentity, Component } from "./identity.js";
export { describeDifference, intentOf, parseIntent } from "./intent.js";
export type { Intent } from "./intent.js";
export { buildDisruptionBudget } from "./disruption-budget.js";
export { buildNetworkPolicy } from "./network-policy.js";
export { buildPdPod } from "./pd-pod.js";
export { buildRheaStore } from "./rhea-store.js";
export { buildSecret, clientFiles } from "./secrets.js";
export { buildService } from "./services.js";
export { buildStorePod } from "./store-pod.js";
export { buildVolumeClaim } from "./volume-claim.js";
