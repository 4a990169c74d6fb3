import type { Condition, PlannedAction, RheaClusterStatus, StoreStatus } from "../api/gen/rhea-cluster.js";
import { describeStep, type Action, type Blocked } from "./action.js";
import { isMember, seconds, type Context, type JudgedStore } from "./judge.js";

/** A condition without its time: the platform keeps the time since when each holds. */
export type TimelessCondition = Omit<Condition, "lastTransitionTime">;

/** The status that a plan computes; the platform adds the times and stores it. */
export type PlannedStatus = Omit<RheaClusterStatus, "conditions"> & {
  readonly conditions: readonly TimelessCondition[];
};

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
      members: observed.pd.process.kind === "running" ? 1 : 0,
      ...(view === undefined ? { message: pdMessage(context) } : {}),
    },
    stores: stores.map((store) => storeStatus(store)),
    ...(regions === undefined ? {} : { regions }),
    plan: actions.map((action): PlannedAction => ({
      action: describeStep(action),
      reason: action.reason,
      proof: action.proof,
      undo: action.undo,
    })),
  };
}

function pdMessage({ observed }: Context): string {
  if (observed.view !== undefined) return `its last answer is ${seconds(observed.view.ageMs)} old`;
  return observed.pd.process.kind === "running" ? "it has not answered yet" : "it does not run";
}

function storeStatus({ record, pd, verdict }: JudgedStore): StoreStatus {
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

function stateOf(kind: JudgedStore["verdict"]["kind"]): StoreStatus["state"] {
  switch (kind) {
    case "live":
      return "Up";
    case "starting":
      return "Starting";
    case "silent":
      return "Silent";
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
  regions: RheaClusterStatus["regions"],
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
  const stuck = blocked.filter(({ retryInMs }) => retryInMs === undefined);
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
export function describeBlocked({ object, reason, retryInMs }: Blocked): string {
  return `${object}: ${reason}${retryInMs === undefined ? "" : `; next try in ${seconds(retryInMs)}`}`;
}
