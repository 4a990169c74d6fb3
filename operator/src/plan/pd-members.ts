import { NOTHING, act, blocked, joinParts, type PlanPart } from "./action.js";
import type { Context } from "./judge.js";
import { pdQuorum, type JudgedPd } from "./judge-pd.js";
import { describeEnd, hostLossOf } from "./member-facts.js";
import type { PdView, ProcessState } from "./observed.js";

/** An answer of PD younger than this was asked for at this look, or at the one before. */
const JUST_ASKED_MS = 1_000;

/**
 * Keeps PD at `pd.replicas` members, one change at a time. A member whose disk is lost, or that is lost with its host, is taken out while a quorum
 * is proven without it, its data are deleted, and a new one under a new name joins. Up: one joins when all that are there are healthy voters.
 * Down: one that does not lead goes. The very first member begins the group; no other ever does.
 */
export function planPdMembers(context: Context): PlanPart {
  const { pds, view, desired } = context;
  if (pds.length === 0) return addMember(context, true, "the cluster needs a placement driver", "there is none");
  if (view === undefined) return joinParts(...pds.map(lostForGood));
  const buried = joinParts(...pds.map((pd) => bury(pd, context, view)));
  if (buried.actions.length > 0 || pds.some(({ verdict }) => verdict.kind === "removed")) return buried;
  const orphans = removeOrphans(context, view);
  if (orphans !== NOTHING) return orphans;
  const dead = pds.find(({ verdict }) => verdict.kind === "dead");
  if (dead !== undefined) return replaceMember(dead, context, view);
  const members = pds.filter(({ verdict }) => verdict.kind !== "removed");
  if (members.length < desired.pdReplicas) return grow(context, view, members);
  return members.length > desired.pdReplicas ? shrink(context, view, members) : NOTHING;
}

/** Without a second member nothing can replace the first, so an empty directory must never be started as if it were new. */
function lostForGood({ record, verdict }: JudgedPd, _: number, pds: readonly JudgedPd[]): PlanPart {
  if (verdict.kind !== "dead" || !verdict.isDiskLost) return NOTHING;
  const isLost = (pd: JudgedPd) => pd.verdict.kind === "dead" && pd.verdict.isDiskLost;
  if (pds.filter(isLost).length * 2 < pds.length) return NOTHING; // the others only have to answer again
  const others = pds.length - 1;
  const second = others === 0 ? "it has no second member" : `its ${others} other members have no quorum`;
  return blocked(
    record.name,
    `the placement driver's data are lost (${verdict.why}) and ${second}: restore its directory; the stores go on serving the regions they have`,
  );
}

/** Deletes what is left of a member that is out of the group. */
function bury({ record, verdict, member }: JudgedPd, { pds, now }: Context, view: PdView): PlanPart {
  if (verdict.kind !== "removed" || member !== undefined || view.ageMs >= JUST_ASKED_MS) return NOTHING; // it may have joined since
  const { name, process } = record;
  const proof = `PD's ${pds.length - 1} other members do not count it any more`;
  if (process.kind === "running") {
    return act({ kind: "stopProcess", name, reason: "it is out of PD's group", proof, undo: "none needed" });
  }
  const isStuck = process.kind === "stopping" && hostLossOf(record) !== undefined;
  if (!isStuck && !hadEnded(process, view, now)) return NOTHING;
  return act({ kind: "deletePd", name, reason: "it has left PD's group", proof, undo: "none: a new one joins" });
}

function replaceMember({ record, verdict, member }: JudgedPd, context: Context, view: PdView): PlanPart {
  const { name } = record;
  const why = verdict.kind === "dead" ? verdict.why : "";
  if (context.pds.length === 1) return joinParts(...context.pds.map(lostForGood));
  if (member === undefined) {
    // It has never been a voter, so nothing is lost with it.
    if (!hadEnded(record.process, view, context.now)) return NOTHING;
    const proof = `PD's ${view.members.length} members do not count it`;
    return act({ kind: "deletePd", name, reason: why, proof, undo: "none: a new one joins" });
  }
  const { healthy, needed, text } = pdQuorum(view);
  if (healthy < needed) return blocked(name, `${why}; it is not replaced: ${text}`);
  const after = pdQuorum(view, [name]);
  if (after.healthy < after.needed) return blocked(name, `${why}; it is not replaced: without it ${after.text}`);
  return act({
    kind: "removePdMember",
    name,
    reason: why,
    proof: `without it ${after.text}`,
    undo: "none: a new member takes its place",
  });
}

function grow(context: Context, view: PdView, members: readonly JudgedPd[]): PlanPart {
  const goal = `pd.replicas is ${context.desired.pdReplicas} and ${members.length} are there`;
  const unwell = members.filter(({ verdict }) => verdict.kind !== "live");
  if (unwell.length === 0) return addMember(context, false, goal, pdQuorum(view).text);
  const names = unwell.map(({ record, verdict }) =>
    "why" in verdict ? `${record.name}: ${verdict.why}` : record.name,
  );
  const isWaiting = unwell.every(({ verdict }) => verdict.kind === "starting");
  return blocked("pd", `${goal}: the next member joins when all are healthy voters; waits for ${names.join("; ")}`, {
    isWaiting,
  });
}

function shrink({ desired, now }: Context, view: PdView, members: readonly JudgedPd[]): PlanPart {
  const goal = `pd.replicas is ${desired.pdReplicas} and ${members.length} are there`;
  const victim = [...members].sort((a, b) => rank(a) - rank(b) || b.record.ordinal - a.record.ordinal)[0];
  if (victim === undefined) return NOTHING;
  const { record, member, verdict } = victim;
  const { name, process } = record;
  if (member === undefined) {
    // It has not joined. Once it has stopped it cannot join any more, and when PD was asked after that, it is deleted.
    const proof = "PD does not count it";
    const undo = "raise pd.replicas: another one joins";
    if (process.kind === "running") return act({ kind: "stopProcess", name, reason: goal, proof, undo });
    if (!hadEnded(process, view, now)) return NOTHING;
    return act({ kind: "deletePd", name, reason: `${goal}; ${describeEnd(record)}`, proof, undo });
  }
  const before = pdQuorum(view);
  const after = pdQuorum(view, [name]);
  if (before.healthy < before.needed) return blocked("pd", `${goal}: ${name} is not removed: ${before.text}`);
  if (after.healthy < after.needed) return blocked("pd", `${goal}: ${name} is not removed: without it ${after.text}`);
  return act({
    kind: "removePdMember",
    name,
    reason: `${goal}; ${verdict.kind === "live" ? "it does not lead" : "it does not serve"}`,
    proof: `without it ${after.text}`,
    undo: "raise pd.replicas: a new one joins",
  });
}

/** Whether a process had certainly ended, or had not begun, when PD was asked. */
function hadEnded(process: ProcessState, { ageMs }: PdView, now: number): boolean {
  switch (process.kind) {
    case "exited":
      return process.atMs <= now - ageMs;
    case "pending":
      return process.sinceMs <= now - ageMs;
    case "stopped":
      return ageMs < JUST_ASKED_MS; // it was seen to be stopped at this look, and PD was asked at this look
    case "running":
    case "stopping":
      return false;
  }
}

/** Takes out members that PD counts and that are nowhere any more: one that joined while it was being deleted. */
function removeOrphans({ pds }: Context, view: PdView): PlanPart {
  const orphan = view.members.find(
    ({ name, isHealthy }) => !isHealthy && !pds.some(({ record }) => record.name === name),
  );
  if (orphan === undefined) return NOTHING;
  const { name } = orphan;
  const { healthy, needed, text } = pdQuorum(view);
  const after = pdQuorum(view, [name]);
  const reason = "it has no record, no process and no data any more";
  if (healthy < needed || after.healthy < after.needed) return blocked(name, `${reason}; it is not taken out: ${text}`);
  return act({
    kind: "removePdMember",
    name,
    reason,
    proof: `without it ${after.text}`,
    undo: "none: a new one joins",
  });
}

function addMember({ desired, observed, view }: Context, isFirst: boolean, reason: string, proof: string): PlanPart {
  const prefix = `${desired.name}-pd-`;
  const names = [...observed.pds, ...(view?.members ?? [])].map(({ name }) => name);
  const ordinals = names.filter((name) => name.startsWith(prefix)).map((name) => Number(name.slice(prefix.length)));
  const ordinal = Math.max(observed.nextPdOrdinal, ...ordinals.filter(Number.isSafeInteger).map((used) => used + 1));
  const undo = isFirst ? "it is stopped with the cluster" : "lower pd.replicas: it is removed";
  return act({ kind: "addPd", name: `${prefix}${ordinal}`, ordinal, isFirst, reason, proof, undo });
}

/** What has not joined or does not serve goes first; the leader stays. */
function rank({ member, verdict }: JudgedPd): number {
  if (member === undefined) return 0;
  if (verdict.kind !== "live") return 1;
  return member.isLeader ? 3 : 2;
}
