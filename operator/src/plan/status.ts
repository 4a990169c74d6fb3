import type { Condition } from "../api/gen/rhea-cluster.js";
import { describeStep, type Action, type Blocked } from "./action.js";
import type { PdRecord, PdView } from "./observed.js";
import { isMember, type Context, type JudgedStore } from "./judge.js";

/** A condition without its time: the platform keeps the time since when each holds. */
export type TimelessCondition = Omit<Condition, "lastTransitionTime">;

/** A PD member in the status. */
export interface PlannedPdMember {
  readonly name: string;
  /** PD's id of it. */
  readonly id?: number;
  readonly state: "Starting" | "Pending" | "Joining" | "Up" | "Silent" | "Down" | "Dead" | "Leaving";
  readonly ready: boolean;
  readonly message?: string;
}

/** A store in the status. */
export interface PlannedStore {
  readonly name: string;
  readonly id?: number;
  readonly state: "Starting" | "Pending" | "Up" | "Silent" | "Down" | "Dead" | "Draining" | "Removed";
  readonly ready: boolean;
  readonly leaders?: number;
  readonly regions?: number;
  readonly pendingPeers?: number;
  readonly drainedRatio?: number;
  readonly node?: string;
  readonly version?: string;
  readonly message?: string;
}

/**
 * The status that a plan computes. The platform adds what only it knows: times of conditions and of what is blocked, ids, endpoints,
 * certificates. Nothing in it changes while the cluster stays as it is.
 */
export interface PlannedStatus {
  readonly observedGeneration: number;
  readonly conditions: readonly TimelessCondition[];
  /** Stores that serve. */
  readonly replicas: number;
  readonly pd: {
    readonly ready: boolean;
    /** Members that run. */
    readonly members: number;
    /** Name of the leader. */
    readonly leader?: string;
    readonly message?: string;
    readonly list: readonly PlannedPdMember[];
  };
  readonly stores: readonly PlannedStore[];
  readonly regions?: { readonly total: number; readonly underReplicated: number; readonly noQuorum: number };
  readonly plan: readonly {
    readonly action: string;
    readonly reason: string;
    readonly proof: string;
    readonly undo: string;
  }[];
  /** What the processes run; absent while it is not the same everywhere. */
  readonly image?: string;
  readonly autoscale?: { readonly wantedStores: number; readonly regionsPerStore: number; readonly message: string };
}

/** Describes the cluster and what is about to happen to it. Pure. */
export function makeStatus(context: Context, actions: readonly Action[], blocked: readonly Blocked[]): PlannedStatus {
  const { desired, view, observed, stores } = context;
  const regions = view && {
    total: view.regions.length,
    underReplicated: view.regions.filter(({ isFullyReplicated }) => !isFullyReplicated).length,
    noQuorum: view.regions.filter(({ hasQuorum }) => !hasQuorum).length,
  };
  return {
    observedGeneration: desired.generation,
    conditions: conditionsOf(context, actions, blocked, regions),
    replicas: stores.filter(({ verdict }) => verdict.kind === "live").length,
    pd: {
      ready: view !== undefined,
      members: observed.pds.filter(({ process }) => process.kind === "running").length,
      list: observed.pds.map((pd) => pdStatus(pd, view)),
      ...(view === undefined ? { message: pdMessage(context) } : {}),
    },
    stores: stores.map((store) => storeStatus(store)),
    ...(regions === undefined ? {} : { regions }),
    plan: actions.map((action) => ({
      action: describeStep(action),
      reason: action.reason,
      proof: action.proof,
      undo: action.undo,
    })),
  };
}

function pdMessage({ observed }: Context): string {
  if (observed.view !== undefined) return "it does not answer any more";
  return observed.pds.some(({ process }) => process.kind === "running") ? "it has not answered yet" : "it does not run";
}

function pdStatus({ name, process }: PdRecord, view: PdView | undefined): PlannedPdMember {
  const isUp = process.kind === "running" && view !== undefined;
  return { name, state: isUp ? "Up" : process.kind === "running" ? "Starting" : "Down", ready: isUp };
}

function storeStatus({ record, pd, verdict }: JudgedStore): PlannedStore {
  const message = "why" in verdict ? verdict.why : verdict.kind === "draining" ? (pd?.drainBlocked ?? "") : "";
  return {
    name: record.name,
    state: stateOf(verdict.kind),
    ready: verdict.kind === "live",
    ...(pd === undefined
      ? {}
      : {
          id: pd.storeId,
          leaders: pd.leaderCount,
          regions: pd.regionCount,
          pendingPeers: pd.pendingPeerCount,
        }),
    ...(verdict.kind === "draining" && pd !== undefined ? { drainedRatio: pd.drainedRatio } : {}),
    ...(message === "" ? {} : { message }),
  };
}

function stateOf(kind: JudgedStore["verdict"]["kind"]): PlannedStore["state"] {
  switch (kind) {
    case "live":
      return "Up";
    case "starting":
      return "Starting";
    case "silent":
      return "Silent";
    case "pending":
      return "Pending";
    case "down":
      return "Down";
    case "dead":
      return "Dead";
    case "draining":
      return "Draining";
    case "removed":
      return "Removed";
  }
}

function conditionsOf(
  context: Context,
  actions: readonly Action[],
  blocked: readonly Blocked[],
  regions: PlannedStatus["regions"],
): readonly TimelessCondition[] {
  const { desired, stores, view } = context;
  const condition = (type: string, holds: boolean | undefined, reason: string, message: string): TimelessCondition => ({
    type,
    status: holds === undefined ? "Unknown" : holds ? "True" : "False",
    reason,
    message,
    observedGeneration: desired.generation,
  });
  const live = stores.filter(({ verdict }) => verdict.kind === "live").length;
  const leaving = stores.filter((store) => !isMember(store)).length;
  const counts = `${live} of ${desired.storeReplicas} stores serve${leaving > 0 ? `, ${leaving} leave` : ""}${
    regions === undefined
      ? ""
      : `; ${regions.total} regions, ${regions.underReplicated} under-replicated, ${regions.noQuorum} without a quorum`
  }`;
  const isSettled =
    live === desired.storeReplicas &&
    leaving === 0 &&
    actions.length === 0 &&
    regions !== undefined &&
    regions.total > 0 &&
    regions.underReplicated === 0;
  const isReady = isSettled && !desired.suspend;
  const stuck = blocked.filter(({ nextTryMs }) => nextTryMs === undefined);
  const isAvailable = regions && regions.total > 0 && regions.noQuorum === 0;
  const first = blocked[0];
  return [
    condition(
      "Ready",
      isReady,
      isReady ? "Ready" : desired.suspend ? "Suspended" : view === undefined ? "NoPlacementDriver" : "NotSettled",
      counts,
    ),
    condition(
      "Reconciling",
      !isReady && !desired.suspend && desired.mode === "Reconcile",
      actions.length > 0 ? "Acting" : isReady ? "Settled" : "Waiting",
      actions.length === 0 ? "" : actions.map(describeStep).join("; "),
    ),
    condition(
      "Stalled",
      !isReady && actions.length === 0 && stuck.length > 0,
      stuck.length > 0 ? "Blocked" : "Moving",
      stuck.map(describeBlocked).join("; "),
    ),
    condition("Available", isAvailable, isAvailable === true ? "AllRegionsServe" : "SomeRegionsDoNot", counts),
    condition("QuorumHealthy", regions && regions.noQuorum === 0, "Counted", counts),
    condition(
      "Blocked",
      blocked.length > 0,
      first === undefined ? "Nothing" : "Held",
      blocked.map(describeBlocked).join("; "),
    ),
  ];
}

/** Says in one line what is held back and why. */
export function describeBlocked({ object, reason }: Blocked): string {
  return `${object}: ${reason}`;
}
