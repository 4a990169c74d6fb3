import type { AutoscaleDemand, DesiredCluster } from "../api/resolve.js";
import { isMember, type Context } from "./judge.js";
import { outdatedOf } from "./member-facts.js";
import type { AutoscaleMemory, Observed } from "./observed.js";

/** A store is taken away only if those that stay then have at most this share of the target. */
const LOW_RATIO = 0.8;

/** How many stores are wanted now, and why. */
export interface Scaling {
  readonly wanted: number;
  /** With autoscaling: to be handed back at the next look. */
  readonly memory?: AutoscaleMemory & { readonly wanted: number };
  readonly regionsPerStore?: number;
  readonly message?: string;
}

/**
 * Decides the wanted number of stores: `stores.replicas`, or with `stores.autoscale` what the regions need. It begins with the stores that are
 * there and changes by steps: out when there are more regions per store than the target; in when, for `scaleInDelaySeconds` without a break, fewer
 * stores would have at most 80 % of the target. It stands aside while anything is unhealthy or under way.
 */
export function decideScaling(context: Context): Scaling {
  const { desired, view, observed, now } = context;
  const { autoscale } = desired;
  if (autoscale === undefined) return { wanted: desired.storeReplicas };
  const before = wantedBefore(context, autoscale);
  const { lowSinceMs: lowBefore, lastScaleMs } = observed.autoscale ?? {};
  const memoryOf = (lowSinceMs: number | undefined) => ({
    wanted: before,
    ...(lowSinceMs === undefined ? {} : { lowSinceMs }),
    ...(lastScaleMs === undefined ? {} : { lastScaleMs }),
  });
  if (view === undefined) {
    return { wanted: before, memory: memoryOf(lowBefore), message: "stands aside: PD does not answer" };
  }
  const peers = view.regions.reduce((sum, region) => sum + region.peers.length, 0);
  const regionsPerStore = Math.round((peers / Math.max(1, before)) * 10) / 10;
  const fewer = fewerStores(peers, before, autoscale, desired);
  const memory = memoryOf(fewer < before ? (lowBefore ?? now) : undefined);
  const load = `${peers} peers on ${before} stores, target ${autoscale.targetRegionsPerStore} per store`;
  const stay = (message: string): Scaling => ({ wanted: before, memory, regionsPerStore, message });
  const change = (wanted: number, why: string): Scaling => {
    const message = `${load}: ${wanted} stores are wanted; ${why}`;
    if (autoscale.mode === "Plan") return stay(`${message}; autoscale.mode is Plan: nothing is done`);
    if (desired.mode !== "Reconcile") return { ...stay(message), wanted };
    return { wanted, memory: { wanted, lastScaleMs: now }, regionsPerStore, message };
  };
  const obstacle = obstacleOf(context, before);
  if (obstacle !== undefined) return stay(`${load}; stands aside: ${obstacle}`);
  const isCoolingDown = lastScaleMs !== undefined && now - lastScaleMs < autoscale.cooldownMs;
  const needed = Math.min(autoscale.maxReplicas, Math.ceil(peers / autoscale.targetRegionsPerStore));
  if (needed > before) {
    if (isCoolingDown) return stay(`${load}: ${needed} are needed; waits for the cool-down`);
    return change(Math.min(needed, before + autoscale.maxStep), "the target is exceeded");
  }
  if (memory.lowSinceMs === undefined) {
    const isAtLimit = peers > before * autoscale.targetRegionsPerStore;
    return stay(isAtLimit ? `${load}: more than the target, but maxReplicas is reached` : load);
  }
  if (now - memory.lowSinceMs < autoscale.scaleInDelayMs) {
    return stay(`${load}: ${fewer} would do; waits for scaleInDelaySeconds`);
  }
  if (isCoolingDown) return stay(`${load}: ${fewer} would do; waits for the cool-down`);
  return change(fewer, `those that stay have at most ${LOW_RATIO * 100} % of the target`);
}

/** The number that holds until it is changed here: that of the last look, else the stores that are there, else `stores.replicas`; within the limits. */
function wantedBefore({ observed, stores, desired }: Context, { minReplicas, maxReplicas }: AutoscaleDemand): number {
  const present = stores.filter((store) => isMember(store) || store.verdict.kind === "dead").length;
  const wanted = observed.autoscale?.wanted ?? (isNew(observed) || present === 0 ? desired.storeReplicas : present);
  return Math.min(maxReplicas, Math.max(minReplicas, wanted));
}

function isNew({ pds }: Observed): boolean {
  return pds.every(({ initialised }) => !initialised);
}

/** The least number of stores, at most `maxStep` fewer, that stays well below the target. */
function fewerStores(
  peers: number,
  before: number,
  { minReplicas, maxStep, targetRegionsPerStore }: AutoscaleDemand,
  { regionReplicas }: DesiredCluster,
): number {
  const enough = Math.ceil(peers / (LOW_RATIO * targetRegionsPerStore));
  return Math.min(before, Math.max(enough, before - maxStep, minReplicas, regionReplicas));
}

/** Why the load cannot be judged now, or must not be answered. */
function obstacleOf({ stores, view }: Context, wanted: number): string | undefined {
  const short = (view?.regions ?? []).filter(({ isFullyReplicated }) => !isFullyReplicated).length;
  const unwell = stores.filter(({ verdict }) => verdict.kind !== "live").map(({ record }) => record.name);
  const members = stores.filter(isMember).length;
  const outdated = stores.filter(({ record }) => outdatedOf(record.process) !== undefined).length;
  if (view?.isBootstrapped !== true) return "the cluster is not bootstrapped";
  if (unwell.length > 0) return `${unwell.join(", ")} ${unwell.length === 1 ? "does" : "do"} not serve or leave`;
  if (short > 0) return `${short} of ${view.regions.length} regions are below full health`;
  if (members !== wanted) return `${members} of ${wanted} stores are there`;
  return outdated > 0 ? `${outdated} stores are to be restarted with changed settings` : undefined;
}
