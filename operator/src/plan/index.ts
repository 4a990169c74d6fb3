/**
 * plan: the operator's decisions, pure. `plan(observed, desired, now)` is called by every platform in its loop (observe, plan,
 * execute); it does no I/O, keeps no state and never waits. Parts: `judge` (what is each store), `processes`, `cluster-config`,
 * `replacement`, `scale`, `status`.
 */
export { plan } from "./plan.js";
export type { Plan } from "./plan.js";
export { describeStep } from "./action.js";
export type { Action, Blocked, Step } from "./action.js";
export type {
  AutoscaleMemory,
  Host,
  MemberRecord,
  Observed,
  PdConfig,
  PdMember,
  PdOperation,
  PdRecord,
  PdRegion,
  PdStore,
  PdView,
  ProcessState,
  StoreRecord,
} from "./observed.js";
export { describeBlocked } from "./conditions.js";
export type { TimelessCondition } from "./conditions.js";
export type { PlannedPdMember, PlannedStatus, PlannedStore } from "./status.js";
