import { NOTHING, joinParts, type PlanPart } from "./action.js";
import { answers, describeEnd, isMember, seconds, START_GRACE_MS, type Context, type JudgedStore } from "./judge.js";
import type { PdRecord, ProcessState } from "./observed.js";

const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MAX_MS = 30_000;

/** Starts what should run, stops what should not. Needs no view of PD: a store's identity guards it. */
export function planProcesses(context: Context): PlanPart {
  if (context.desired.suspend) return suspend(context);
  return joinParts(
    startPds(context),
    ...context.stores.map((store) => keepRunning(store, context)),
    restartSilent(context),
    rollOutSettings(context),
  );
}

/** Stores go first, so that they can hand their regions over while PD listens. */
function suspend({ observed, stores }: Context): PlanPart {
  const running = stores.filter(({ record }) => record.process.kind === "running");
  const stopping = stores.filter(({ record }) => record.process.kind === "stopping");
  const names = running.map(({ record }) => record.name);
  if (running.length + stopping.length === 0) {
    names.push(...observed.pds.filter(({ process }) => process.kind === "running").map(({ name }) => name));
  }
  return {
    actions: names.map((name) => ({
      kind: "stopProcess",
      name,
      reason: "suspend is true",
      proof: "its data stay on disk",
      undo: "set suspend to false",
    })),
    blocked: [{ object: "cluster", reason: "suspend is true: nothing runs until it is false" }],
  };
}

function startPds({ observed: { pds, nextPdOrdinal }, desired, now }: Context): PlanPart {
  const isFirst = pds.every(({ initialised }) => !initialised);
  if (pds.length === 0) {
    return act({
      kind: "addPd",
      name: `${desired.name}-pd-${nextPdOrdinal}`,
      ordinal: nextPdOrdinal,
      isFirst: true,
      reason: "the cluster needs a placement driver",
      proof: "there is none and there never was one",
      undo: "it is stopped with the cluster",
    });
  }
  return joinParts(...pds.map((pd) => startPd(pd, isFirst, now)));
}

function startPd(pd: PdRecord, isFirst: boolean, now: number): PlanPart {
  if (pd.process.kind !== "stopped" && pd.process.kind !== "exited") return NOTHING;
  const lost = pdLoss(pd);
  if (lost !== undefined) return { actions: [], blocked: [{ object: pd.name, reason: lost }] };
  const nextTryMs = nextTryOf(pd.process);
  if (nextTryMs > now) return { actions: [], blocked: [{ object: pd.name, reason: describeEnd(pd), nextTryMs }] };
  return act({
    kind: "startPd",
    name: pd.name,
    isFirst,
    reason: pd.initialised ? describeEnd(pd) : "the cluster needs a placement driver",
    proof: pd.initialised ? "its directory is there" : "it has never run here",
    undo: "it is stopped with the cluster",
  });
}

/** With one member nothing can replace it, so an empty directory must never be started as if it were new. */
function pdLoss(pd: PdRecord): string | undefined {
  const exited = pd.process.kind === "exited" && pd.process.code === 7;
  if (!exited && !(pd.initialised && pd.directory === "missing")) return undefined;
  return "the placement driver's data are lost and it has no second member: restore its directory; the stores go on serving the regions they have";
}

function keepRunning(store: JudgedStore, { now }: Context): PlanPart {
  const { record, verdict } = store;
  const { name, process } = record;
  if (process.kind === "stopping") return NOTHING;
  if (process.kind === "running") {
    const mustStop = verdict.kind === "removed" || (verdict.kind === "dead" && verdict.isDiskLost);
    if (mustStop) {
      const why = verdict.kind === "removed" ? "it is a tombstone" : verdict.why;
      return act({
        kind: "stopProcess",
        name,
        reason: why,
        proof: "it holds no vote that counts",
        undo: "none needed",
      });
    }
    return NOTHING;
  }
  if (verdict.kind === "removed" || (verdict.kind === "dead" && verdict.isDiskLost)) return NOTHING;
  if (process.kind === "pending") return { actions: [], blocked: [{ object: name, reason: process.why }] };
  const nextTryMs = nextTryOf(process);
  if (nextTryMs > now) return { actions: [], blocked: [{ object: name, reason: describeEnd(record), nextTryMs }] };
  return act({
    kind: "startStore",
    name,
    reason: describeEnd(record),
    proof: record.initialised ? "its directory is there" : "it has never served",
    undo: "it is stopped with the cluster",
  });
}

/**
 * Restarts what runs and has not been heard of for long, or cannot be because its settings are outdated. One at a time, the longest run first:
 * when many are silent it may be the way to PD that is broken, and then they serve all the same, but not if all of them stop.
 */
function restartSilent({ stores, now, desired }: Context): PlanPart {
  const isOneOnItsWay = stores.some(({ record: { process }, verdict }) => {
    if (process.kind === "running") return verdict.kind === "starting" && now - process.sinceMs < START_GRACE_MS;
    return process.kind === "stopping" || (process.kind === "stopped" && verdict.kind === "down");
  });
  if (isOneOnItsWay) return NOTHING;
  const hung = stores.flatMap(({ record: { name, process }, verdict }) => {
    if (process.kind !== "running" || verdict.kind !== "silent") return [];
    const ranMs = now - process.sinceMs;
    if (ranMs < desired.deadAfterMs && process.outdated === undefined) return [];
    return [{ name, ranMs, outdated: process.outdated, why: verdict.why }];
  });
  const next = hung.sort((a, b) => b.ranMs - a.ranMs)[0];
  if (next === undefined) return NOTHING;
  const { name, ranMs, outdated, why } = next;
  return act({
    kind: "restartProcess",
    name,
    reason: outdated === undefined ? why : `${why}; its settings are outdated: ${outdated}`,
    proof: `this run is ${seconds(ranMs)} old, limit ${seconds(desired.deadAfterMs)}; of ${hung.length} such stores one at a time`,
    undo: "none needed: it keeps its identity and data",
  });
}

/** Restarts what runs with outdated settings: PD first, then one store at a time, and only while all else is well. */
function rollOutSettings({ observed, stores, view }: Context): PlanPart {
  if (view === undefined) return NOTHING;
  const outdatedOf = (process: ProcessState) => (process.kind === "running" ? process.outdated : undefined);
  const candidates = [...observed.pds, ...stores.filter(isMember).map(({ record }) => record)];
  const next = candidates.find(({ process }) => outdatedOf(process) !== undefined);
  if (next === undefined) return NOTHING;
  const changed = outdatedOf(next.process) ?? "";
  const unwell = stores.filter((store) => !answers(store) && store.verdict.kind !== "removed");
  const short = view.regions.filter(({ isFullyReplicated }) => !isFullyReplicated);
  if (unwell.length + short.length > 0) {
    const reason = `the change of ${changed} waits: ${unwell.length} stores do not serve, ${short.length} of ${view.regions.length} regions are below full health`;
    return { actions: [], blocked: [{ object: next.name, reason }] };
  }
  return act({
    kind: "restartProcess",
    name: next.name,
    reason: `settings changed: ${changed}`,
    proof: `all ${stores.length} stores serve and all ${view.regions.length} regions have their full number of healthy peers`,
    undo: "change the settings back: it is restarted once more",
  });
}

/** When a process is started again: at once after the first end; then 1, 2, 4 ... 30 s after the end. */
function nextTryOf(process: ProcessState): number {
  if (process.kind !== "exited" || process.failures <= 1) return 0;
  return process.atMs + Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(process.failures - 2, 10));
}

function act(action: PlanPart["actions"][number]): PlanPart {
  return { actions: [action], blocked: [] };
}
