import type { DesiredCluster } from "../api/resolve.js";
import { START_GRACE_MS, describeEnd, diskLossOf, failureOf, hostLossOf, outdatedOf } from "./member-facts.js";
import type { PdMember, PdRecord, PdView } from "./observed.js";

/** What a PD member is, all facts taken together. `why` never has a running time in it. */
export type PdVerdict =
  /** A healthy voter. */
  | { readonly kind: "live" }
  /** Runs, and is no healthy voter yet: it starts, or it joins as a learner. Also: nobody can tell, because PD does not answer. */
  | { readonly kind: "starting" }
  /** Was a voter before, runs, and the leader does not hear it. */
  | { readonly kind: "silent"; readonly why: string }
  | { readonly kind: "pending"; readonly why: string }
  | { readonly kind: "down"; readonly why: string }
  /** Will not come back by itself. */
  | { readonly kind: "dead"; readonly isDiskLost: boolean; readonly why: string }
  /** Has been taken out of PD's group. */
  | { readonly kind: "removed" };

/** A PD member with everything known of it. */
export interface JudgedPd {
  readonly record: PdRecord;
  /** PD's entry of it; absent if it has not joined, was removed, or PD's view is missing or stale. */
  readonly member: PdMember | undefined;
  readonly verdict: PdVerdict;
}

/** Judges every PD member. */
export function judgePds(
  records: readonly PdRecord[],
  view: PdView | undefined,
  desired: DesiredCluster,
  now: number,
): readonly JudgedPd[] {
  const hasLeader = view?.members.some(({ isLeader }) => isLeader) ?? false;
  const isRollingOut = records.some(({ process }) => process.kind === "running" && outdatedOf(process) !== undefined);
  return records.map((record) => {
    const member = view?.members.find(({ name }) => name === record.name);
    return { record, member, verdict: judgePd(record, { member, hasLeader, isRollingOut }, desired, now) };
  });
}

interface Facts {
  readonly member: PdMember | undefined;
  readonly hasLeader: boolean;
  readonly isRollingOut: boolean;
}

function judgePd(
  record: PdRecord,
  { member, hasLeader, isRollingOut }: Facts,
  { deadAfterMs }: DesiredCluster,
  now: number,
): PdVerdict {
  const { process, initialised, host } = record;
  if (hasLeader && initialised && member === undefined) return { kind: "removed" };
  const lost = diskLossOf(record);
  if (lost !== undefined) return { kind: "dead", isDiskLost: true, why: lost };
  const isHostLostForLong = host?.sinceMs !== undefined && now - host.sinceMs >= deadAfterMs;
  const hostLoss = isHostLostForLong ? hostLossOf(record) : undefined;
  if (hasLeader && !initialised && hostLoss !== undefined && member?.isHealthy !== true) {
    return { kind: "dead", isDiskLost: false, why: `${hostLoss}, and it has never served` };
  }
  if (hasLeader && initialised && member?.isHealthy === false) {
    const failure = isRollingOut && outdatedOf(process) === undefined ? undefined : failureOf(record, deadAfterMs, now);
    const why = hostLoss ?? failure;
    if (why !== undefined) return { kind: "dead", isDiskLost: false, why: `${why}, and PD's leader does not hear it` };
  }
  if (process.kind === "pending") return { kind: "pending", why: process.why };
  if (process.kind !== "running") return { kind: "down", why: describeEnd(record) };
  if (member?.isVoter === true && member.isHealthy) return { kind: "live" };
  if (!hasLeader || member?.isVoter !== true || now - process.sinceMs < START_GRACE_MS) return { kind: "starting" };
  const why = hostLossOf(record);
  return { kind: "silent", why: `it runs, but PD's leader does not hear it${why === undefined ? "" : `; ${why}`}` };
}

/** The arithmetic of PD's group: a change is safe while the voters that answer are a majority before and after it. */
export interface PdQuorum {
  readonly voters: number;
  readonly healthy: number;
  readonly needed: number;
  /** The three numbers in words. */
  readonly text: string;
}

/** Counts PD's voters, without those of `without` if they are given up. */
export function pdQuorum(view: PdView, without: readonly string[] = []): PdQuorum {
  const voters = view.members.filter(({ isVoter, name }) => isVoter && !without.includes(name));
  const healthy = voters.filter(({ isHealthy }) => isHealthy).length;
  const needed = Math.floor(voters.length / 2) + 1;
  const text = `${healthy} of ${voters.length} voters answer, a quorum is ${needed}`;
  return { voters: voters.length, healthy, needed, text };
}
