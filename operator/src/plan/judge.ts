import type { DesiredCluster } from "../api/resolve.js";
import { judgePds, type JudgedPd } from "./judge-pd.js";
import { START_GRACE_MS, describeEnd, diskLossOf, failureOf, hostLossOf, outdatedOf, seconds } from "./member-facts.js";
import type { Observed, PdRecord, PdStore, PdView, StoreRecord } from "./observed.js";

/** An answer of PD older than this is not acted upon. */
const VIEW_FRESH_MS = 5_000;

/** What a store is, all facts taken together. `why` never has a running time in it. */
export type Verdict =
  /** Serves: its process runs and PD has heard this run of it. */
  | { readonly kind: "live" }
  /** Runs; PD has not heard this run yet. */
  | { readonly kind: "starting" }
  /** Runs; PD has lost it. */
  | { readonly kind: "silent"; readonly why: string }
  /** Exists and cannot begin to run; waits for what `why` says. Never replaced by another. */
  | { readonly kind: "pending"; readonly why: string }
  /** Does not run now and will be started. */
  | { readonly kind: "down"; readonly why: string }
  /** PD moves its regions away. Its process may or may not run. */
  | { readonly kind: "draining"; readonly isRunning: boolean }
  /** Will not come back by itself. Its peers are replaced. */
  | { readonly kind: "dead"; readonly isDiskLost: boolean; readonly why: string }
  /** A tombstone in PD. */
  | { readonly kind: "removed" };

/** A store with everything known of it. */
export interface JudgedStore {
  readonly record: StoreRecord;
  /** Absent if it has not registered, or if PD's view is missing or stale. */
  readonly pd: PdStore | undefined;
  readonly verdict: Verdict;
  /** Is to be emptied and replaced, by its user's mark or because its volume is being deleted, and its turn has come. */
  readonly isLeaving: boolean;
}

/** The input of every part of the plan. */
export interface Context {
  readonly observed: Observed;
  readonly desired: DesiredCluster;
  readonly now: number;
  /** PD's view if it is fresh enough to act upon. */
  readonly view: PdView | undefined;
  readonly stores: readonly JudgedStore[];
  readonly pds: readonly JudgedPd[];
}

/** Judges every store and every PD member. */
export function makeContext(observed: Observed, desired: DesiredCluster, now: number): Context {
  const view = observed.view !== undefined && isCurrent(observed.view, observed.pds) ? observed.view : undefined;
  const isRollingOut = observed.stores.some(
    ({ process }) => process.kind === "running" && outdatedOf(process) !== undefined,
  );
  const judged = observed.stores.map((record) => {
    const pd = view === undefined ? undefined : pdStoreOf(view, record.name);
    return { record, pd, verdict: judge(record, { pd, view, isRollingOut }, desired, now) };
  });
  const leaving = leavingNames(judged, desired);
  const stores = judged.map((store) => ({ ...store, isLeaving: leaving.has(store.record.name) }));
  return { observed, desired, now, view, stores, pds: judgePds(observed.pds, view, desired, now) };
}

/** Whether an answer of PD is young, and was not given by a PD that has no quorum of running members any more. */
function isCurrent({ ageMs, members }: PdView, pds: readonly PdRecord[]): boolean {
  const voters = members.filter(({ isVoter }) => isVoter);
  const stopped = voters.filter(({ name }) => pds.some((pd) => pd.name === name && pd.process.kind !== "running"));
  return ageMs <= VIEW_FRESH_MS && (voters.length === 0 || stopped.length * 2 < voters.length);
}

/** Whether the store counts towards the wanted number of stores. */
export function isMember({ verdict, isLeaving }: JudgedStore): boolean {
  switch (verdict.kind) {
    case "live":
    case "starting":
    case "silent":
    case "pending":
    case "down":
      return !isLeaving;
    case "draining":
    case "dead":
    case "removed":
      return false;
  }
}

/** Whether the store certainly serves: PD may not have noticed yet that its host is lost, or have a leader that has not heard it yet. */
export function isServing(store: JudgedStore): boolean {
  return store.verdict.kind === "live" && isHeard(store);
}

/** Whether a peer on this store answers. */
export function answers(store: JudgedStore): boolean {
  const { verdict } = store;
  return isServing(store) || (verdict.kind === "draining" && verdict.isRunning && isHeard(store));
}

function isHeard({ record, pd }: JudgedStore): boolean {
  return hostLossOf(record) === undefined && pd?.isConnected === true;
}

/** Whether what it is now will be something else within seconds without anybody's doing: nothing is decided by it. */
export function isInTransit({ verdict, record }: JudgedStore): boolean {
  const { process } = record;
  if (verdict.kind === "starting") return true;
  if (hostLossOf(record) !== undefined) return false;
  if (verdict.kind === "pending") return process.kind === "pending" && process.cause === "starting";
  if (verdict.kind !== "down" || process.kind === "stopping") return verdict.kind === "down";
  return process.kind === "stopped" || (process.kind === "exited" && process.failures <= 1);
}

/** Whether the store was marked by its user, or its volume goes as soon as it stops: its data must move elsewhere. */
export function mustLeave({ wantsDrain, initialised, directory }: StoreRecord): boolean {
  return wantsDrain || (initialised && directory === "terminating");
}

/**
 * Whether PD has certainly never known the store: its process had ended, or had not begun, before PD was asked, so it cannot have
 * registered since.
 */
export function neverRegistered({ record, pd }: JudgedStore, { view, now }: Context): boolean {
  if (pd !== undefined || view === undefined || record.initialised) return false;
  const { process } = record;
  if (process.kind === "exited") return process.atMs <= now - view.ageMs;
  return process.kind === "pending" && process.sinceMs <= now - view.ageMs;
}

/** PD's entry for a name: of several, the one that is not a tombstone, else the newest. */
function pdStoreOf(view: PdView, name: string): PdStore | undefined {
  const named = view.stores.filter((store) => store.name === name);
  return named.find(({ state }) => state !== "tombstone") ?? named.sort((a, b) => b.storeId - a.storeId)[0];
}

/**
 * Those that leave now. Together with the dead they are at most `failover.maxReplacements` (at least one), because for each of them a
 * further store is made; those on their way go on first. The others count as members until their turn comes.
 */
function leavingNames(
  stores: readonly Omit<JudgedStore, "isLeaving">[],
  { maxReplacements }: DesiredCluster,
): ReadonlySet<string> {
  const dead = stores.filter(({ verdict }) => verdict.kind === "dead").length;
  const marked = stores.filter(
    ({ record, verdict }) => mustLeave(record) && verdict.kind !== "dead" && verdict.kind !== "removed",
  );
  const drainsFirst = ({ verdict }: (typeof marked)[number]) => (verdict.kind === "draining" ? 0 : 1);
  const inTurn = [...marked].sort((a, b) => drainsFirst(a) - drainsFirst(b) || a.record.ordinal - b.record.ordinal);
  const allowed = Math.max(0, Math.max(1, maxReplacements) - dead);
  return new Set(inTurn.slice(0, allowed).map(({ record }) => record.name));
}

interface Facts {
  readonly pd: PdStore | undefined;
  readonly view: PdView | undefined;
  /** Some store still runs with the settings of before. */
  readonly isRollingOut: boolean;
}

function judge(
  record: StoreRecord,
  { pd, view, isRollingOut }: Facts,
  { deadAfterMs }: DesiredCluster,
  now: number,
): Verdict {
  if (pd?.state === "tombstone") return { kind: "removed" };
  const lost = diskLossOf(record) ?? (pd?.diskLost === true ? "PD has its disk as lost" : undefined);
  if (lost !== undefined) return { kind: "dead", isDiskLost: true, why: lost };
  const { process } = record;
  const silentMs = pd === undefined || view === undefined ? 0 : pd.heartbeatMsAgo + view.ageMs;
  // What fails with new settings while others run with the old ones is the rollout's business: a spare would fail like it.
  const failure = isRollingOut && outdatedOf(process) === undefined ? undefined : failureOf(record, deadAfterMs, now);
  const cause = hostLossOf(record) ?? failure;
  if (silentMs >= deadAfterMs && cause !== undefined) {
    const why = `${cause}, and PD has not heard it for longer than ${seconds(deadAfterMs)}`;
    return { kind: "dead", isDiskLost: false, why };
  }
  const { host } = record;
  const isStillborn = view !== undefined && pd === undefined && !record.initialised && host?.sinceMs !== undefined;
  if (isStillborn && hostLossOf(record) !== undefined && now - host.sinceMs >= deadAfterMs) {
    return { kind: "dead", isDiskLost: false, why: `${hostLossOf(record) ?? ""}, and it has never served` };
  }
  if (pd?.state === "draining") return { kind: "draining", isRunning: process.kind === "running" };
  if (process.kind === "pending") return { kind: "pending", why: process.why };
  if (process.kind !== "running") return { kind: "down", why: describeEnd(record) };
  if (pd === undefined || view === undefined) return { kind: "starting" };
  const heardThisRun = now - silentMs >= process.sinceMs;
  if (!heardThisRun) return now - process.sinceMs < START_GRACE_MS ? { kind: "starting" } : silent(record);
  return pd.state === "up" ? { kind: "live" } : silent(record);
}

function silent(record: StoreRecord): Verdict {
  const where = hostLossOf(record);
  return { kind: "silent", why: `it runs, but PD does not hear it${where === undefined ? "" : `; ${where}`}` };
}
