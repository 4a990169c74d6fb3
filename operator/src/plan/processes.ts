import { NOTHING, act, blocked, joinParts, type PlanPart } from "./action.js";
import type { Context, JudgedStore } from "./judge.js";
import type { JudgedPd } from "./judge-pd.js";
import { START_GRACE_MS, describeEnd, hostLossOf, outdatedOf } from "./member-facts.js";
import type { MemberRecord, ProcessState } from "./observed.js";
import { regionsThatNeed } from "./region-quorum.js";

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
 * Restarts what runs and has not been heard of for long, or cannot be because its settings are outdated. One at a time, the one that is unheard for
 * longest first: when many are silent it may be the way to PD that is broken, and then they serve all the same, but not if all of them stop.
 * Never one that a region known to serve hangs on. Not on a lost host: nobody there would do it, and the process would be gone when the host
 * is back.
 */
function restartSilent(context: Context): PlanPart {
  const { stores, now, desired } = context;
  const isOneOnItsWay = stores.some(({ record: { process }, verdict }) => {
    if (process.kind === "running") return verdict.kind === "starting" && now - process.sinceMs < START_GRACE_MS;
    return process.kind === "stopping" || (process.kind === "stopped" && verdict.kind === "down");
  });
  if (isOneOnItsWay) return NOTHING;
  const hung = stores.flatMap((store) => {
    const { record, verdict, pd } = store;
    const { process } = record;
    if (process.kind !== "running" || verdict.kind !== "silent" || hostLossOf(record) !== undefined) return [];
    if (record.directory === "terminating") return []; // its volume would go with it
    const silentMs = (pd?.heartbeatMsAgo ?? 0) + (context.view?.ageMs ?? 0);
    const unheardMs = Math.min(now - Math.max(process.sinceMs, record.host?.sinceMs ?? 0), silentMs);
    const limitMs = outdatedOf(process) === undefined ? desired.deadAfterMs : START_GRACE_MS;
    return unheardMs < limitMs ? [] : [{ store, unheardMs, why: verdict.why }];
  });
  const next = hung.sort((a, b) => b.unheardMs - a.unheardMs)[0];
  if (next === undefined) return NOTHING;
  const { name, process } = next.store.record;
  const outdated = outdatedOf(process);
  const reason = outdated === undefined ? next.why : `${next.why}; its settings are outdated: ${outdated}`;
  const needing = regionsThatNeed(context, next.store);
  if (needing.length > 0) {
    const ids = needing.map(({ regionId }) => regionId).join(", ");
    return blocked(name, `${reason}; it is not restarted: without it region ${ids} may have no quorum`);
  }
  return act({
    kind: "restartProcess",
    name,
    reason,
    proof: `no region that is known to serve needs it; of ${hung.length} silent stores one at a time`,
    undo: "none needed: it keeps its identity and data",
  });
}

/** When a process is started again: at once after the first end; then 1, 2, 4 ... 30 s after the end. */
function nextTryOf(process: ProcessState): number {
  if (process.kind !== "exited" || process.failures <= 1) return 0;
  return process.atMs + Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(process.failures - 2, 10));
}
