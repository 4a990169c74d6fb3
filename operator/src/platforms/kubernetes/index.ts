/**
 * platforms/kubernetes: the operator on Kubernetes. `startOperator` stands for election and, while it leads, runs a controller whose
 * `reconcileCluster` makes one pass over one RheaCluster: gather its objects from the caches, ask PD, `plan`, keep the objects that follow
 * from the spec (`sync-*`, `certificates`), do the actions (`execute`), tell (`status`, `events`). The plan decides, `specs` builds; here is
 * what is between them and the API server. Level-based: all that matters is in Kubernetes and in PD, and what is remembered (deps.ts)
 * may be lost at any moment. Clock, timers, randomness, API server and PD come from outside.
 */
export { createPlatformMetrics } from "./metrics.js";
export { startOperator } from "./operator.js";
export type { PdCalls, PdTarget } from "./deps.js";
