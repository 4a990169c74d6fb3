import { EMPTY_BYTES } from "@rhea/common";
import { NO_PEER, type Message } from "./types.js";
import type { Raft, RaftStepResult } from "./raft.js";

/** Takes a message in while this peer follows. */
export function stepFollower(r: Raft, m: Message): RaftStepResult {
  switch (m.type) {
    case "prop":
      return forwardProposal(r, m);
    case "app":
      hearFromLeader(r, m);
      handleAppend(r, m);
      return "ok";
    case "heartbeat":
      hearFromLeader(r, m);
      handleHeartbeat(r, m);
      return "ok";
    case "snap":
      hearFromLeader(r, m);
      handleSnapshot(r, m);
      return "ok";
    case "transferLeader":
      if (r.lead === NO_PEER) r.emit?.({ kind: "transferDroppedNoLeader", term: r.term });
      else r.send({ type: m.type, to: r.lead, from: m.from });
      return "ok";
    case "forgetLeader":
      forgetLeader(r);
      return "ok";
    case "timeoutNow":
      r.emit?.({ kind: "timeoutNowReceived", term: r.term, from: m.from });
      // The leader vouches that the group is in order: no need to ask first.
      r.hup("transfer");
      return "ok";
    case "readIndex":
      if (r.lead === NO_PEER) r.emit?.({ kind: "readDroppedNoLeader", term: r.term });
      else r.send({ type: m.type, to: r.lead, from: m.from, entries: m.entries });
      return "ok";
    case "readIndexResp":
      if (m.entries.length === 1) r.readStates.push({ index: m.index, requestCtx: m.entries[0]?.data ?? EMPTY_BYTES });
      else r.emit?.({ kind: "readRespMalformed", from: m.from, entries: m.entries.length });
      return "ok";
    default:
      return "ok";
  }
}

/** Appends what the leader sent, or tells it where the logs may match. */
export function handleAppend(r: Raft, m: Message): void {
  const { log } = r;
  if (m.index < log.committed) {
    r.send({ type: "appResp", to: m.from, index: log.committed });
    return;
  }
  const last = log.maybeAppend(m.index, m.logTerm, m.commit, m.entries);
  if (last >= 0) {
    r.send({ type: "appResp", to: m.from, index: last });
    return;
  }
  r.emit?.({
    kind: "appendRefused",
    local: { index: m.index, term: Math.max(0, log.term(m.index)) },
    leaderPrevious: { index: m.index, term: m.logTerm },
    from: m.from,
  });
  // All terms in the leader's log up to m.index are at most m.logTerm, so positions with higher terms here cannot match: skip them.
  const hint = log.findConflictByTerm(Math.min(m.index, log.lastIndex()), m.logTerm);
  r.send({ type: "appResp", to: m.from, index: m.index, reject: true, rejectHint: hint.index, logTerm: hint.term });
}

/** Moves the commit index and echoes the leader's read sequence. */
export function handleHeartbeat(r: Raft, m: Message): void {
  r.log.commitTo(m.commit);
  r.send({ type: "heartbeatResp", to: m.from, context: m.context });
}

/** Installs a snapshot if it brings anything, and acknowledges what this peer has then. */
export function handleSnapshot(r: Raft, m: Message): void {
  const metadata = m.snapshot?.metadata;
  const snapshot = { index: metadata?.index ?? 0, term: metadata?.term ?? 0 };
  const restored = m.snapshot !== undefined && r.restore(m.snapshot);
  r.emit?.({ kind: restored ? "snapshotRestored" : "snapshotIgnored", commit: r.log.committed, snapshot });
  r.send({ type: "appResp", to: m.from, index: restored ? r.log.lastIndex() : r.log.committed });
}

function hearFromLeader(r: Raft, m: Message): void {
  r.electionElapsed = 0;
  r.timeoutsWithoutLeader = 0;
  r.lead = m.from;
}

function forwardProposal(r: Raft, m: Message): RaftStepResult {
  if (r.lead === NO_PEER) {
    r.emit?.({ kind: "proposalDroppedNoLeader", term: r.term });
    return "noLeader";
  }
  if (r.config.disableProposalForwarding) {
    r.emit?.({ kind: "proposalNotForwarded", lead: r.lead, term: r.term });
    return "forwardingDisabled";
  }
  r.send({ type: m.type, to: r.lead, from: m.from, entries: m.entries });
  return "ok";
}

function forgetLeader(r: Raft): void {
  // A lease holder counts on its followers to refuse votes while they know it.
  if (r.config.readOnlyOption === "leaseBased") {
    r.emit?.({ kind: "forgetLeaderRefused" });
  } else if (r.lead !== NO_PEER) {
    r.emit?.({ kind: "leaderForgotten", lead: r.lead, term: r.term });
    r.lead = NO_PEER;
  }
}
