/** What a host needs to leave a peer alone while nothing happens in its group, and to come back to it as if time had been passed tick by tick. */
import { isJoint } from "./tracker.js";
import type { Raft } from "./raft.js";
import type { PeerId } from "./types.js";

/** Says whether nothing is pending here: all entries are stored, committed and applied, and no read, transfer or membership change is under way. */
export function isSettled(r: Raft): boolean {
  const { log, tracker } = r;
  const last = log.lastIndex();
  return (
    log.committed === last &&
    log.applied === last &&
    log.unstable.entries.length === 0 &&
    log.unstable.snapshot === undefined &&
    r.msgs.length === 0 &&
    r.msgsAfterAppend.length === 0 &&
    r.reads.isEmpty &&
    r.postponedReads.length === 0 &&
    r.readStates.length === 0 &&
    r.leadTransferee === 0 &&
    r.pendingConfIndex <= log.applied &&
    !isJoint(tracker.conf) &&
    !tracker.conf.autoLeave
  );
}

/** Says, on a leader, whether a follower is known to have the whole log, with nothing in flight to it. */
export function isFollowerSettled(r: Raft, id: PeerId): boolean {
  const pr = r.tracker.get(id);
  return pr?.state === "replicate" && pr.match === r.log.lastIndex() && pr.inflights.count === 0;
}

/** Says whether these peers are a majority of the voters; never in a joint configuration. */
export function isMajority(r: Raft, ids: ReadonlySet<PeerId>): boolean {
  const { conf } = r.tracker;
  if (isJoint(conf)) return false;
  let count = 0;
  for (const id of conf.voters) if (ids.has(id)) count++;
  return count > conf.voters.length / 2;
}

/** Says whether the next tick lets this peer campaign. */
export function isElectionDue(r: Raft): boolean {
  return r.state !== "leader" && r.electionElapsed + 1 >= r.randomizedElectionTimeout && r.isPromotable();
}

/**
 * Goes on after a rest. A follower has not heard from its leader for `ticks`; a leader begins a new quorum check in which nobody was heard of
 * yet, `ticks` after its last heartbeat. Only for a peer that was settled and has not been touched since.
 */
export function resume(r: Raft, ticks: number): void {
  r.ticks += ticks;
  if (r.state !== "leader") {
    r.electionElapsed = ticks;
    return;
  }
  r.electionElapsed = 0;
  r.heartbeatElapsed = ticks;
  r.lease?.void();
  for (const pr of r.tracker.members) if (pr.id !== r.id) pr.recentActive = false;
}
