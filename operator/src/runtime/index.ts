/**
 * runtime: what every controller needs around its reconcile. Keys come from informers into a work queue; a controller's workers take them
 * one at a time per key; only the elected leader starts controllers; expectations keep a reconcile from acting on a cache that is older
 * than its own writes; events and metrics tell what happened. Called by the operator's main and its Kubernetes platform. It knows nothing
 * of Rhea's objects.
 */
export { createController } from "./controller.js";
export { createEventRecorder } from "./event-recorder.js";
export type { EventRecorder } from "./event-recorder.js";
export { createExpectations } from "./expectations.js";
export type { Expectations } from "./expectations.js";
export { startHealthServer } from "./health-server.js";
export { createLeaderElection } from "./leader-election.js";
export { createRuntimeMetrics } from "./metrics.js";
export type { RuntimeMetrics } from "./metrics.js";
export { createWorkQueue } from "./work-queue.js";
