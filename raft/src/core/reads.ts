import { EMPTY_BYTES } from "@rhea/common";
import { broadcastHeartbeat } from "./replication.js";
import { NO_PEER, type Message } from "./types.js";
import type { Raft } from "./raft.js";

/** Takes a read on the leader: at once where leadership is beyond doubt, else after a round of heartbeats (thesis 6.4). */
export function handleRead(r: Raft, m: Message): void {
  // Only an entry of its own term tells a new leader which entries of its predecessors are committed.
  if (!r.hasCommittedInTerm()) {
    r.postponedReads.push(m);
    return;
  }
  const byLease = !r.leaseForfeited && r.lease?.isHeld(r.ticks) === true;
  if (byLease || (r.tracker.isSingleton && r.tracker.conf.voters[0] === r.id)) {
    answerRead(r, m, r.log.committed);
    return;
  }
  const sequence = r.reads.add(r.log.committed, m);
  r.reads.ack(r.id, sequence);
  broadcastHeartbeat(r);
}

/** Serves the reads that waited for the first commit of the term. */
export function releasePostponedReads(r: Raft): void {
  if (r.postponedReads.length === 0 || !r.hasCommittedInTerm()) return;
  const waiting = r.postponedReads;
  r.postponedReads = [];
  for (const m of waiting) handleRead(r, m);
}

/** Answers the reads that a quorum has confirmed by now. */
export function releaseConfirmedReads(r: Raft): void {
  if (r.reads.isEmpty) return;
  for (const read of r.reads.takeConfirmed(r.tracker.conf)) answerRead(r, read.request, read.index);
}

function answerRead(r: Raft, request: Message, index: number): void {
  if (request.from === NO_PEER || request.from === r.id) {
    r.readStates.push({ index, requestCtx: request.entries[0]?.data ?? EMPTY_BYTES });
  } else {
    r.send({ type: "readIndexResp", to: request.from, index, entries: request.entries });
  }
}
