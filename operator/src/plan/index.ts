/**
 * plan: the operator's decisions, pure. `plan(observed, desired, now)` is called by every platform in its loop (observe, plan,
 * execute); it does no I/O, keeps no state and never waits. `judge` and `judge-pd` say what each store and PD member is; then each concern
 * decides alone: `pd-members`, `processes`, `cluster-config`, `replacement`, `scale` (with `drains`, `victim`), `rollout` (with
 * `pd-rollout`), `cordon`, `autoscale`, `disruptions`; `status` and `conditions` tell. `simulation` is a cluster on paper for the tests.
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
