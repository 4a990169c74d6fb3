import { describeStep, type PlanPart } from "./action.js";
import type { Scaling } from "./autoscale.js";
import { makeConditions, type Facts, type TimelessCondition } from "./conditions.js";
import { isMember, type Context, type JudgedStore } from "./judge.js";
import { pdQuorum, type JudgedPd } from "./judge-pd.js";
import { outdatedOf } from "./member-facts.js";

/** A PD member in the status. */
export interface PlannedPdMember {
  readonly name: string;
  /** PD's id of it. */
  readonly id?: number;
  readonly state: "Pending" | "Starting" | "Up" | "Silent" | "Down" | "Dead" | "Removed";
  readonly ready: boolean;
  readonly message?: string;
}

/** A store in the status. */
export interface PlannedStore {
  readonly name: string;
  readonly id?: number;
  readonly state: "Pending" | "Starting" | "Up" | "Silent" | "Down" | "Dead" | "Draining" | "Removed";
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
  readonly autoscale?: { readonly wantedStores: number; readonly regionsPerStore?: number; readonly message: string };
}

/** Describes the cluster and what is about to happen to it. Pure. */
export function makeStatus(context: Context, scaling: Scaling, part: PlanPart): PlannedStatus {
  const { desired, view, stores, pds } = context;
  const regions = view && {
    total: view.regions.length,
    underReplicated: view.regions.filter(({ isFullyReplicated }) => !isFullyReplicated).length,
    noQuorum: view.regions.filter(({ hasQuorum }) => !hasQuorum).length,
  };
  const leader = view?.members.find(({ isLeader }) => isLeader)?.name;
  const images = new Set([...stores, ...pds].flatMap(({ record: { image } }) => (image === undefined ? [] : [image])));
  const [image] = images;
  const message = view === undefined ? pdMessage(context) : undefined;
  return {
    observedGeneration: desired.generation,
    conditions: makeConditions(factsOf(context, scaling, part, regions)),
    replicas: stores.filter((store) => isMember(store) && store.verdict.kind === "live").length,
    pd: {
      ready: view !== undefined,
      members: pds.filter(({ record }) => record.process.kind === "running").length,
      ...(leader === undefined ? {} : { leader }),
      ...(message === undefined ? {} : { message }),
      list: pds.map(pdStatus),
    },
    stores: stores.map((store) => storeStatus(store)),
    ...(regions === undefined ? {} : { regions }),
    plan: part.actions.map((action) => ({
      action: describeStep(action),
      reason: action.reason,
      proof: action.proof,
      undo: action.undo,
    })),
    ...(image === undefined || images.size > 1 ? {} : { image }),
    ...(scaling.memory === undefined
      ? {}
      : {
          autoscale: {
            wantedStores: scaling.wanted,
            ...(scaling.regionsPerStore === undefined ? {} : { regionsPerStore: scaling.regionsPerStore }),
            message: scaling.message ?? "",
          },
        }),
  };
}

function factsOf(context: Context, { wanted }: Scaling, part: PlanPart, regions: PlannedStatus["regions"]): Facts {
  const { desired, stores, pds, view } = context;
  const members = stores.filter(isMember);
  const live = members.filter(({ verdict }) => verdict.kind === "live").length;
  const livePds = pds.filter(({ verdict }) => verdict.kind === "live").length;
  const outdated = [...stores, ...pds].filter(({ record }) => outdatedOf(record.process) !== undefined).length;
  // Keeping leaders off a store moves no data and stops nothing.
  const acting = part.actions.filter(({ kind }) => kind !== "evictLeaders" && kind !== "releaseLeaders");
  const leaving = stores.length - members.length;
  const isComplete =
    live === wanted && leaving === 0 && livePds === desired.pdReplicas && pds.length === livePds && outdated === 0;
  const quorum = view && pdQuorum(view);
  return {
    generation: desired.generation,
    mode: desired.mode,
    isSuspended: desired.suspend,
    hasView: view !== undefined,
    regions,
    isPdHealthy: quorum === undefined ? undefined : quorum.healthy >= quorum.needed,
    isSettled:
      isComplete && acting.length === 0 && regions !== undefined && regions.total > 0 && regions.underReplicated === 0,
    actions: part.actions,
    blocked: part.blocked,
    counts: [
      `${live} of ${wanted} stores serve${leaving > 0 ? `, ${leaving} leave` : ""}`,
      ...(desired.pdReplicas === 1 && pds.length <= 1 ? [] : [`${livePds} of ${desired.pdReplicas} PD members serve`]),
      ...(outdated === 0 ? [] : [`${outdated} to be restarted with changed settings`]),
      ...(regions === undefined
        ? []
        : [
            `${regions.total} regions, ${regions.underReplicated} under-replicated, ${regions.noQuorum} without a quorum`,
          ]),
    ].join("; "),
  };
}

function pdMessage({ observed, pds }: Context): string {
  if (!pds.some(({ record }) => record.process.kind === "running")) return "it does not run";
  return observed.view === undefined ? "it has not answered yet" : "it does not answer any more";
}

function pdStatus({ record, member, verdict }: JudgedPd): PlannedPdMember {
  const learner = verdict.kind === "starting" && member?.isVoter === false ? "it catches up as a learner" : undefined;
  const message = "why" in verdict ? verdict.why : learner;
  return {
    name: record.name,
    ...(member === undefined ? {} : { id: member.memberId }),
    state: stateOf(verdict.kind),
    ready: verdict.kind === "live",
    ...(message === undefined ? {} : { message }),
  };
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
    ...(record.host === undefined ? {} : { node: record.host.name }),
    ...(record.version === undefined ? {} : { version: record.version }),
    ...(message === "" ? {} : { message }),
  };
}

function stateOf<K extends JudgedStore["verdict"]["kind"]>(kind: K): (typeof STATES)[K] {
  return STATES[kind];
}

const STATES = {
  live: "Up",
  starting: "Starting",
  silent: "Silent",
  pending: "Pending",
  down: "Down",
  dead: "Dead",
  draining: "Draining",
  removed: "Removed",
} as const;
