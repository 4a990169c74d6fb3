/**
 * schedule: decides what should be done, and does nothing: checkers look at one region, schedulers at the whole cluster, requests come
 * through the API. All are pure: a view of the cluster and the time in, proposals with reasons out. Called by the service.
 */
export { Admission, limitOf } from "./admission.js";
export type { ScheduleContext } from "./context.js";
export { drainStatus, emptinessDoubt } from "./drain-status.js";
export { isSameRequest, planRequest } from "./requests.js";
export type { OperationRequest } from "./requests.js";
export { checkRegion, proposeBalance } from "./schedule.js";
export { SCHEDULERS } from "./schedulers/index.js";
