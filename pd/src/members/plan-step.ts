/** The next change of PD's membership: at most one at a time, and never one that would lose the quorum. Pure. */
import type { GroupProgress } from "./member-group.js";
import type { MemberRecord, MemberState } from "./member.js";

/** A voter that was not heard of for this long (ms) does not count as live: two election timeouts. */
const SILENT_LIMIT_MS = 3_000;

/** One change. */
export type MemberStep =
  | { readonly kind: "addLearner"; readonly memberId: number }
  | { readonly kind: "promote"; readonly memberId: number }
  | { readonly kind: "remove"; readonly memberId: number }
  /** The leader is to be removed: another leads first. */
  | { readonly kind: "handOver"; readonly memberId: number }
  /** The configuration is as wanted: the record says so from now on. */
  | { readonly kind: "settle"; readonly memberId: number; readonly state: MemberState };

/** Whether the leader has heard of a peer lately. */
export function isHeard({ silentMs }: GroupProgress): boolean {
  return silentMs < SILENT_LIMIT_MS;
}

/** Why the voters that are left without a member could not go on, with the numbers; undefined if they can. */
export function removalRefusal(memberId: number, progress: readonly GroupProgress[]): string | undefined {
  if (!progress.some((peer) => peer.memberId === memberId && peer.isVoter)) return undefined;
  const rest = progress.filter((peer) => peer.isVoter && peer.memberId !== memberId);
  if (rest.length === 0) return "it is the last voter";
  const live = rest.filter(isHeard).length;
  const needed = Math.floor(rest.length / 2) + 1;
  return live >= needed
    ? undefined
    : `of the ${rest.length} voters left ${live} would be live, ${needed} are needed: start the others first`;
}

/** Picks the voter that should lead next: live, and caught up if any is. */
export function pickHeir(leaderId: number, progress: readonly GroupProgress[]): number | undefined {
  const able = progress.filter((peer) => peer.isVoter && peer.memberId !== leaderId && isHeard(peer));
  return (able.find(({ isCaughtUp }) => isCaughtUp) ?? able[0])?.memberId;
}

/** Plans the next step, or undefined when there is nothing to do or nothing that may be done now. `leaderId`: this member. */
export function planStep(
  records: Iterable<MemberRecord>,
  progress: readonly GroupProgress[],
  leaderId: number,
): MemberStep | undefined {
  const byId = new Map(progress.map((peer) => [peer.memberId, peer]));
  let arriving: MemberStep | undefined;
  for (const record of records) {
    const { memberId, state } = record;
    const peer = byId.get(memberId);
    if (state === "removed") continue;
    if (state === "removing") {
      const step = planLeaving(memberId, progress, leaderId, peer);
      if (step !== undefined) return step;
    } else {
      arriving ??= planArriving(record, progress, peer);
    }
  }
  return arriving;
}

function planLeaving(
  memberId: number,
  progress: readonly GroupProgress[],
  leaderId: number,
  peer: GroupProgress | undefined,
): MemberStep | undefined {
  if (peer === undefined) return { kind: "settle", memberId, state: "removed" };
  if (removalRefusal(memberId, progress) !== undefined) return undefined;
  if (memberId !== leaderId) return { kind: "remove", memberId };
  const heir = pickHeir(leaderId, progress);
  return heir === undefined ? undefined : { kind: "handOver", memberId: heir };
}

function planArriving(
  { memberId, state, address }: MemberRecord,
  progress: readonly GroupProgress[],
  peer: GroupProgress | undefined,
): MemberStep | undefined {
  if (peer === undefined) return address === "" ? undefined : { kind: "addLearner", memberId };
  if (peer.isVoter) return state === "member" ? undefined : { kind: "settle", memberId, state: "member" };
  if (!peer.isCaughtUp || !isHeard(peer)) return undefined;
  const voters = progress.filter(({ isVoter }) => isVoter);
  const live = voters.filter(isHeard).length + 1;
  return live >= Math.floor((voters.length + 1) / 2) + 1 ? { kind: "promote", memberId } : undefined;
}
