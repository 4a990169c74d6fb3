import { EMPTY_BYTES, InvariantError } from "@rhea/common";
import { confChangeOfEntry } from "./conf-change-codec.js";
import { decodeReadSequence } from "./read-only.js";
import { handleRead, releaseConfirmedReads, releasePostponedReads } from "./reads.js";
import { broadcastAppend, broadcastHeartbeat, maybeSendAppend, sendAppend } from "./replication.js";
import { isJoint } from "./tracker.js";
import { NO_PEER, type ConfChangeV2, type Entry, type Message } from "./types.js";
import type { Progress } from "./progress.js";
import type { Raft, RaftStepResult } from "./raft.js";

/** Takes a message in while this peer leads. */
export function stepLeader(r: Raft, m: Message): RaftStepResult {
  switch (m.type) {
    case "beat":
      broadcastHeartbeat(r);
      return "ok";
    case "checkQuorum":
      checkQuorum(r);
      return "ok";
    case "prop":
      return handleProposal(r, m);
    case "readIndex":
      handleRead(r, m);
      return "ok";
    case "forgetLeader":
      return "ok";
    default:
      break;
  }
  const pr = r.tracker.get(m.from);
  if (pr === undefined) {
    r.emit?.({ kind: "noProgress", from: m.from });
    return "ok";
  }
  switch (m.type) {
    case "appResp":
      pr.recentActive = true;
      if (m.reject) handleRejection(r, pr, m);
      else handleAcknowledgement(r, pr, m);
      break;
    case "heartbeatResp":
      handleHeartbeatResp(r, pr, m);
      break;
    case "snapStatus":
      handleSnapshotStatus(r, pr, m.reject);
      break;
    case "unreachable":
      // What was streamed is probably lost.
      if (pr.state === "replicate") pr.becomeProbe();
      r.emit?.({ kind: "peerUnreachable", from: m.from, progress: pr.status() });
      break;
    case "transferLeader":
      handleTransfer(r, pr);
      break;
    default:
      break;
  }
  return "ok";
}

function checkQuorum(r: Raft): void {
  if (!r.tracker.isQuorumActive()) {
    r.emit?.({ kind: "quorumLost" });
    r.becomeFollower(r.term, NO_PEER);
  }
  for (const pr of r.tracker.members) if (pr.id !== r.id) pr.recentActive = false;
}

function handleProposal(r: Raft, m: Message): RaftStepResult {
  if (m.entries.length === 0) throw new InvariantError(`peer ${r.id}: a proposal without entries`);
  if (r.tracker.get(r.id) === undefined) return "removed";
  if (r.leadTransferee !== NO_PEER) {
    r.emit?.({ kind: "proposalDroppedInTransfer", term: r.term, transferee: r.leadTransferee });
    return "transferring";
  }
  let entries = m.entries;
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] as Entry;
    const change = confChangeOfEntry(entry);
    if (change === undefined) continue;
    const reason = r.config.disableConfChangeValidation ? undefined : whyRefuseConfChange(r, change);
    if (reason === undefined) {
      r.pendingConfIndex = r.log.lastIndex() + i + 1;
      continue;
    }
    r.emit?.({ kind: "confChangeIgnored", change, conf: r.tracker.conf, reason });
    entries = entries.with(i, { term: 0, index: 0, type: "normal", data: EMPTY_BYTES });
  }
  if (!r.appendEntries(entries)) return "uncommittedLimit";
  broadcastAppend(r);
  return "ok";
}

/** Says why a membership change may not enter the log now, judged by the membership in effect. */
function whyRefuseConfChange(r: Raft, change: ConfChangeV2): string | undefined {
  if (r.pendingConfIndex > r.log.applied) {
    return `possible unapplied conf change at index ${r.pendingConfIndex} (applied to ${r.log.applied})`;
  }
  const leaves = change.changes.length === 0;
  if (isJoint(r.tracker.conf) && !leaves) return "must transition out of joint config first";
  if (!isJoint(r.tracker.conf) && leaves) return "not in joint state; refusing empty conf change";
  // Nothing is pending, so this is the membership the change will meet; once in the log it would stop every peer that applies it.
  return r.whyConfChangeDoesNotFit(change);
}

function handleRejection(r: Raft, pr: Progress, m: Message): void {
  r.emit?.({ kind: "appendRejected", from: m.from, index: m.index, hint: { index: m.rejectHint, term: m.logTerm } });
  // The follower has term m.logTerm at the hint, and terms only grow along a log: where this log has a higher term at or before the
  // hint the two cannot match. Skipping those takes at most one probe per term instead of one per entry.
  const probe = m.logTerm > 0 ? r.log.findConflictByTerm(m.rejectHint, m.logTerm).index : m.rejectHint;
  if (!pr.maybeDecreaseTo(m.index, probe)) return;
  r.emit?.({ kind: "progressDecreased", to: m.from, progress: pr.status() });
  if (pr.state === "replicate") pr.becomeProbe();
  sendAppend(r, pr);
}

function handleAcknowledgement(r: Raft, pr: Progress, m: Message): void {
  // An acknowledgement of what is known still shows that a probed peer answers, so that streaming can resume.
  if (!pr.maybeUpdate(m.index) && !(pr.match === m.index && pr.state === "probe")) return;
  if (pr.state === "probe") {
    pr.becomeReplicate();
  } else if (pr.state === "snapshot" && pr.match + 1 >= r.log.firstIndex()) {
    // Whatever snapshot it got, from whomever: the log can take over from there.
    r.emit?.({ kind: "snapshotNoLongerNeeded", from: m.from, progress: pr.status() });
    pr.becomeProbe();
    pr.becomeReplicate();
  } else if (pr.state === "replicate") {
    pr.inflights.freeTo(m.index);
  }
  const isSelf = m.from === r.id;
  if (r.maybeCommit()) {
    releasePostponedReads(r);
    broadcastAppend(r);
  } else if (!isSelf && pr.canBumpCommit(r.log.committed)) {
    sendAppend(r, pr);
  }
  if (!isSelf) {
    // The window may have room for several messages now.
    while (maybeSendAppend(r, pr, false));
  }
  if (m.from === r.leadTransferee && pr.match === r.log.lastIndex()) {
    r.emit?.({ kind: "timeoutNowSent", to: m.from, immediately: false });
    sendTimeoutNow(r, m.from);
  }
}

function handleHeartbeatResp(r: Raft, pr: Progress, m: Message): void {
  pr.recentActive = true;
  pr.flowPaused = false;
  // A full window gets an empty append, whose answer shows what arrived; a probed peer gets one to come back to streaming.
  if (pr.match < r.log.lastIndex() || pr.state === "probe") sendAppend(r, pr);
  const sequence = decodeReadSequence(m.context);
  if (sequence === 0 || (r.reads.isEmpty && r.lease === undefined)) return;
  r.reads.ack(m.from, sequence);
  r.lease?.confirm(r.reads.confirmed(r.tracker.conf));
  releaseConfirmedReads(r);
}

function handleSnapshotStatus(r: Raft, pr: Progress, failed: boolean): void {
  if (pr.state !== "snapshot") return;
  if (failed) pr.pendingSnapshot = 0;
  pr.becomeProbe();
  r.emit?.({ kind: "snapshotReported", from: pr.id, failed, progress: pr.status() });
  // After a success the peer's own acknowledgement comes next; after a failure a heartbeat interval of rest is due.
  pr.flowPaused = true;
}

function handleTransfer(r: Raft, pr: Progress): void {
  const transferee = pr.id;
  if (pr.isLearner) {
    r.emit?.({ kind: "transferToLearnerIgnored" });
    return;
  }
  if (r.leadTransferee !== NO_PEER) {
    if (r.leadTransferee === transferee) {
      r.emit?.({ kind: "transferAlreadyInProgress", term: r.term, transferee });
      return;
    }
    const previous = r.leadTransferee;
    r.leadTransferee = NO_PEER;
    r.emit?.({ kind: "transferAborted", term: r.term, transferee: previous });
  }
  if (transferee === r.id) {
    r.emit?.({ kind: "transferToSelfIgnored" });
    return;
  }
  r.emit?.({ kind: "transferStarted", term: r.term, transferee });
  // It has one election timeout to succeed.
  r.electionElapsed = 0;
  r.leadTransferee = transferee;
  if (pr.match === r.log.lastIndex()) {
    sendTimeoutNow(r, transferee);
    r.emit?.({ kind: "timeoutNowSent", to: transferee, immediately: true });
  } else {
    sendAppend(r, pr);
  }
}

function sendTimeoutNow(r: Raft, to: number): void {
  r.leaseForfeited = true;
  r.send({ type: "timeoutNow", to });
}
