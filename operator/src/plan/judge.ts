import type { DesiredCluster } from "../api/resolve.js";
import type { Observed, PdStore, PdView, StoreRecord } from "./observed.js";

/** An answer of PD older than this is not acted upon. */
const VIEW_FRESH_MS = 5_000;
/** A process may take this long to be heard by PD before it counts as silent. */
export const START_GRACE_MS = 20_000;
/** Exit code of DISK_LOST and STALE_IDENTITY in the error table. */
const EXIT_DISK_LOST = 7;

/** What a store is, all facts taken together. */
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
}

/** The input of every part of the plan. */
export interface Context {
  readonly observed: Observed;
  readonly desired: DesiredCluster;
  readonly now: number;
  /** PD's view if it is fresh enough to act upon. */
  readonly view: PdView | undefined;
  readonly stores: readonly JudgedStore[];
}

/** Judges every store. */
export function makeContext(observed: Observed, desired: DesiredCluster, now: number): Context {
  const view = observed.view !== undefined && observed.view.ageMs <= VIEW_FRESH_MS ? observed.view : undefined;
  const stores = observed.stores.map((record) => {
    const pd = view === undefined ? undefined : pdStoreOf(view, record.name);
    return { record, pd, verdict: judge(record, pd, view, desired, now) };
  });
  return { observed, desired, now, view, stores };
}

/** Whether the store counts towards `stores.replicas`. */
export function isMember({ verdict }: JudgedStore): boolean {
  switch (verdict.kind) {
    case "live":
    case "starting":
    case "silent":
    case "pending":
    case "down":
      return true;
    case "draining":
    case "dead":
    case "removed":
      return false;
  }
}

/** Whether a peer on this store answers. */
export function answers({ verdict }: JudgedStore): boolean {
  return verdict.kind === "live" || (verdict.kind === "draining" && verdict.isRunning);
}

/**
 * Whether PD has certainly never known the store: its process had ended before PD was asked, so it cannot have registered since.
 */
export function neverRegistered({ record, pd }: JudgedStore, { view, now }: Context): boolean {
  if (pd !== undefined || view === undefined || record.process.kind !== "exited") return false;
  return record.process.atMs <= now - view.ageMs;
}

/** PD's entry for a name: of several, the one that is not a tombstone, else the newest. */
function pdStoreOf(view: PdView, name: string): PdStore | undefined {
  const named = view.stores.filter((store) => store.name === name);
  return named.find(({ state }) => state !== "tombstone") ?? named.sort((a, b) => b.storeId - a.storeId)[0];
}

function judge(
  record: StoreRecord,
  pd: PdStore | undefined,
  view: PdView | undefined,
  { deadAfterMs }: DesiredCluster,
  now: number,
): Verdict {
  if (pd?.state === "tombstone") return { kind: "removed" };
  const lost = diskLossOf(record, pd);
  if (lost !== undefined) return { kind: "dead", isDiskLost: true, why: lost };
  const { process } = record;
  const silentMs = pd === undefined || view === undefined ? 0 : pd.heartbeatMsAgo + view.ageMs;
  const failingSinceMs = "failingSinceMs" in process ? process.failingSinceMs : undefined;
  const failingMs = failingSinceMs === undefined ? 0 : now - failingSinceMs;
  if (silentMs >= deadAfterMs && failingMs >= deadAfterMs) {
    const why = `it has been failing for ${seconds(failingMs)} and PD has not heard it for ${seconds(silentMs)}, limit ${seconds(deadAfterMs)}`;
    return { kind: "dead", isDiskLost: false, why };
  }
  if (pd?.state === "draining") return { kind: "draining", isRunning: process.kind === "running" };
  if (process.kind === "pending") return { kind: "pending", why: process.why };
  if (process.kind !== "running") return { kind: "down", why: describeEnd(record) };
  if (pd === undefined || view === undefined) return { kind: "starting" };
  const heardThisRun = now - silentMs >= process.sinceMs;
  if (!heardThisRun) return now - process.sinceMs < START_GRACE_MS ? { kind: "starting" } : silent(silentMs);
  return pd.state === "up" ? { kind: "live" } : silent(silentMs);
}

function silent(silentMs: number): Verdict {
  return { kind: "silent", why: `it runs, but PD has not heard it for ${seconds(silentMs)}` };
}

function diskLossOf(record: StoreRecord, pd: PdStore | undefined): string | undefined {
  const { process } = record;
  if (process.kind === "exited" && process.code === EXIT_DISK_LOST) {
    return `it exited with code ${EXIT_DISK_LOST}: its identity is lost or outdated`;
  }
  if (record.initialised && record.directory === "missing") return "its directory is gone";
  if (pd?.diskLost === true) return "PD has its disk as lost";
  return undefined;
}

/** Says in words how a process that does not run ended. */
export function describeEnd({ process }: Pick<StoreRecord, "process">): string {
  switch (process.kind) {
    case "pending":
      return process.why;
    case "stopped":
      return "it is stopped";
    case "stopping":
      return "it is stopping";
    case "running":
      return "it runs";
    case "exited": {
      if (process.signal !== null) return `it was ended by ${process.signal}`;
      return process.code === null ? "it ended" : `it exited with code ${process.code}`;
    }
  }
}

/** Formats a duration for people: tenths below ten seconds. */
export function seconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}
