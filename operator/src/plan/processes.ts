import { NOTHING, act, blocked, joinParts, type PlanPart } from "./action.js";
import { answers, isInTransit, type Context, type JudgedStore } from "./judge.js";
import type { JudgedPd } from "./judge-pd.js";
import { START_GRACE_MS, describeEnd, hostLossOf, outdatedOf, seconds } from "./member-facts.js";
import type { MemberRecord, ProcessState } from "./observed.js";

const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MAX_MS = 30_000;

/** Starts what should run, stops what should not. Needs no view of PD: an identity guards each process. */
export function planProcesses(context: Context): PlanPart {
  const isFirst = context.pds.every(({ record }) => !record.initialised);
  return joinParts(
    ...context.pds.map((pd) => keepPdRunning(pd, context, isFirst)),
    ...context.stores.map((store) => keepStoreRunning(store, context)),
    restartSilent(context),
  );
}

/** Stores go first, so that they can hand their regions over while PD listens; then PD, its leader last. */
export function planSuspend({ observed, stores, pds }: Context): PlanPart {
  const active = (record: MemberRecord) => record.process.kind !== "stopped" && record.process.kind !== "stopping";
  const isLeader = ({ record }: JudgedPd) =>
    observed.view?.members.some(({ name, isLeader: leads }) => leads && name === record.name) === true;
  const waves = [
    stores.map(({ record }) => record),
    pds.filter((pd) => !isLeader(pd)).map(({ record }) => record),
    pds.filter(isLeader).map(({ record }) => record),
  ];
  const wave = waves.find((records) => records.some(({ process }) => process.kind !== "stopped")) ?? [];
  return joinParts(
    ...wave.filter(active).map(({ name }) =>
      act({
        kind: "stopProcess",
        name,
        reason: "suspend is true",
        proof: "its data stay on disk",
        undo: "set suspend to false",
      }),
    ),
    blocked("cluster", "suspend is true: nothing runs until it is false"),
  );
}

function keepPdRunning({ record, verdict }: JudgedPd, { now }: Context, isFirst: boolean): PlanPart {
  if (verdict.kind === "removed" || (verdict.kind === "dead" && verdict.isDiskLost)) return NOTHING; // the membership's business
  return start(record, now, {
    kind: "startPd",
    name: record.name,
    isFirst,
    reason: record.initialised ? describeEnd(record) : "the cluster needs a placement driver",
    proof: record.initialised ? "its directory is there" : "it has never served",
    undo: "it is stopped with the cluster",
  });
}

function keepStoreRunning({ record, verdict }: JudgedStore, { now }: Context): PlanPart {
  const { name, process } = record;
  const isGivenUp = verdict.kind === "removed" || (verdict.kind === "dead" && verdict.isDiskLost);
  if (!isGivenUp) {
    return start(record, now, {
      kind: "startStore",
      name,
      reason: describeEnd(record),
      proof: record.initialised ? "its directory is there" : "it has never served",
      undo: "it is stopped with the cluster",
    });
  }
  if (process.kind !== "running") return NOTHING;
  const reason = verdict.kind === "dead" ? verdict.why : "it is a tombstone";
  return act({ kind: "stopProcess", name, reason, proof: "it holds no vote that counts", undo: "none needed" });
}

/** Starts what does not run, where the platform does not do so by itself, or says what that waits for. */
function start(record: MemberRecord, now: number, action: PlanPart["actions"][number]): PlanPart {
  const { name, process, directory, initialised } = record;
  if (process.kind === "running" || process.kind === "stopping") return NOTHING;
  if (process.kind === "pending") {
    return process.cause === "starting" ? blocked(name, process.why, { isWaiting: true }) : blocked(name, process.why);
  }
  if (initialised && directory === "terminating") {
    return blocked(name, "its volume is being deleted: it is replaced when the volume is gone", { isWaiting: true });
  }
  if (process.kind === "exited" && process.restartsByItself === true) {
    if (process.failures <= 1) return NOTHING;
    return blocked(name, `${describeEnd(record)}, ${process.failures} times in a row: its log says why`);
  }
  const nextTryMs = nextTryOf(process);
  return nextTryMs > now ? blocked(name, describeEnd(record), { nextTryMs }) : act(action);
}

/**
 * Restarts what runs and has not been heard of for long, or cannot be because its settings are outdated. One at a time, the longest run first:
 * when many are silent it may be the way to PD that is broken, and then they serve all the same, but not if all of them stop. Not on a lost
 * host: nobody there would do it, and a process that was asked to stop is gone when the host is back.
 */
function restartSilent({ stores, now, desired }: Context): PlanPart {
  const isOneOnItsWay = stores.some((store) => {
    const { process } = store.record;
    if (process.kind === "running" && now - process.sinceMs >= START_GRACE_MS) return false;
    return hostLossOf(store.record) === undefined && isInTransit(store) && process.kind !== "exited";
  });
  if (isOneOnItsWay) return NOTHING;
  const hung = stores.flatMap(({ record, verdict }) => {
    const { name, process } = record;
    if (process.kind !== "running" || verdict.kind !== "silent" || hostLossOf(record) !== undefined) return [];
    const ranMs = now - process.sinceMs;
    const outdated = outdatedOf(process);
    return ranMs < desired.deadAfterMs && outdated === undefined ? [] : [{ name, ranMs, outdated, why: verdict.why }];
  });
  const next = hung.sort((a, b) => b.ranMs - a.ranMs)[0];
  if (next === undefined) return NOTHING;
  const serving = stores.filter(answers).length;
  return act({
    kind: "restartProcess",
    name: next.name,
    reason: next.outdated === undefined ? next.why : `${next.why}; its settings are outdated: ${next.outdated}`,
    proof: `${serving} of ${stores.length} stores serve without it; of ${hung.length} silent ones one at a time, each at most every ${seconds(desired.deadAfterMs)}`,
    undo: "none needed: it keeps its identity and data",
  });
}

/** When a process is started again: at once after the first end; then 1, 2, 4 ... 30 s after the end. */
function nextTryOf(process: ProcessState): number {
  if (process.kind !== "exited" || process.failures <= 1) return 0;
  return process.atMs + Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(process.failures - 2, 10));
}
