import { NOTHING, act, blocked, type PlanPart } from "./action.js";
import type { Context } from "./judge.js";
import { pdQuorum, type JudgedPd } from "./judge-pd.js";
import { outdatedOf } from "./member-facts.js";

/**
 * Restarts PD members with outdated settings one by one, followers first, the leader last and only after leadership has moved. Each waits until all
 * the others are healthy voters. Regions and stores do not matter here: they serve without PD.
 */
export function planPdRollout({ pds, view, desired }: Context): PlanPart {
  const kept = pds.filter(({ verdict }) => verdict.kind !== "dead" && verdict.kind !== "removed");
  const outdated = kept.filter(({ record: { process } }) => outdatedOf(process) !== undefined);
  if (outdated.length === 0) return NOTHING;
  // Membership first: two of three members could not miss one.
  if (view === undefined || kept.length !== desired.pdReplicas) return notYet(outdated);
  const running = outdated.filter(({ record }) => record.process.kind === "running");
  const next = running.sort((a, b) => rank(a) - rank(b) || a.record.ordinal - b.record.ordinal)[0];
  if (next === undefined) return notYet(outdated);
  const { name, process } = next.record;
  const changed = outdatedOf(process) ?? "";
  const others = pds.filter(({ record, verdict }) => record.name !== name && verdict.kind !== "removed");
  const unwell = others.filter(({ verdict }) => verdict.kind !== "live");
  if (unwell.length > 0) {
    const names = unwell.map(({ record, verdict }) =>
      "why" in verdict ? `${record.name}: ${verdict.why}` : record.name,
    );
    const isWaiting = unwell.every(({ verdict }) => verdict.kind === "starting");
    return blocked(name, `the change of ${changed} waits for ${names.join("; ")}`, { isWaiting });
  }
  const quorum = pdQuorum(view).text;
  const heir = others.find(({ record }) => outdatedOf(record.process) === undefined) ?? others[0];
  if (next.member?.isLeader === true && heir !== undefined) {
    return act({
      kind: "transferPdLeader",
      toName: heir.record.name,
      reason: `${name} is restarted next: ${changed}`,
      proof: quorum,
      undo: "none needed: any member can lead",
    });
  }
  return act({
    kind: "restartProcess",
    name,
    reason: `settings changed: ${changed}`,
    proof: others.length === 0 ? "regions are served without PD" : quorum,
    undo: "change the settings back: it is restarted once more",
  });
}

/** Stores wait until PD is through. */
function notYet(outdated: readonly JudgedPd[]): PlanPart {
  const names = outdated.map(({ record }) => record.name).join(", ");
  return blocked("cluster", `changed settings reach the stores after ${names}`, { isWaiting: true });
}

/** What serves least goes first, the leader last. */
function rank({ member, verdict }: JudgedPd): number {
  if (verdict.kind !== "live") return 0;
  return member?.isLeader === true ? 2 : 1;
}
