/** What checkers and schedulers see: a cluster that stands still while they look, the time, and what is already under way. */
import type { ClusterView } from "../cluster/index.js";
import type { Influence, OperationKind, Proposal } from "../operations/index.js";

/** The input of every decision. Nothing here may be changed by who reads it. */
export interface ScheduleContext {
  readonly view: ClusterView;
  /** Monotonic ms. */
  readonly nowMs: number;
  /** What running operations will change on a store. */
  influence(storeId: number): Influence;
  /** Whether the region has a running operation. */
  isBusy(regionId: number): boolean;
  /** Whether this kind failed on the region so recently that it should wait. */
  isHeldBack(regionId: number, kind: OperationKind): boolean;
  /** How often in a row this kind failed on the region. */
  failures(regionId: number, kind: OperationKind): number;
}

/** Looks at one region and proposes at most one operation. */
export interface Checker {
  readonly name: string;
  check(region: RegionOf, context: ScheduleContext): Proposal | undefined;
}

/** Looks at the whole cluster and proposes up to `room` operations. */
export interface ClusterScheduler {
  readonly name: string;
  readonly kind: OperationKind;
  propose(context: ScheduleContext, room: number): readonly Proposal[];
}

type RegionOf = NonNullable<ReturnType<ClusterView["regions"]["get"]>>;
