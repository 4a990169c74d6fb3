import { hex, messageName, quote, renderMembership, renderProgress, stateName } from "./render.js";
import type {
  ConfChangeTransition,
  ConfChangeType,
  ConfChangeV2,
  ConfState,
  LogMarks,
  LogPosition,
  PeerId,
  RaftEvent,
} from "../core/index.js";

/** Prints an event as the log line the transcripts show for it, without its level. */
export function renderEvent(e: RaftEvent): string {
  const id = hex(e.id);
  switch (e.kind) {
    case "started": {
      const peers = e.voters.map(hex).join(",");
      const marks = `term: ${e.term}, commit: ${e.commit}, applied: ${e.applied}`;
      return `newRaft ${id} [peers: [${peers}], ${marks}, lastindex: ${e.last.index}, lastterm: ${e.last.term}]`;
    }
    case "membershipSwitched":
      return `${id} switched to configuration ${renderMembership(e.conf)}`;
    case "becameFollower":
      return `${id} became follower at term ${e.term}`;
    case "becameCandidate":
      return `${id} became candidate at term ${e.term}`;
    case "becamePreCandidate":
      return `${id} became pre-candidate at term ${e.term}`;
    case "becameLeader":
      return `${id} became leader at term ${e.term}`;
    case "campaignDeferredByPriority":
      return `${id} does not campaign at term ${e.term}: its priority ${e.priority} is below ${e.target}`;
    case "electionStarted":
      return `${id} is starting a new election at term ${e.term}`;
    case "campaignIgnoredAsLeader":
      return `${id} ignoring MsgHup because already leader`;
    case "campaignIgnoredUnpromotable":
      return `${id} is unpromotable and can not campaign`;
    case "campaignIgnoredPendingConfChange":
      return `${id} cannot campaign at term ${e.term} since there are still pending configuration changes to apply`;
    case "voteRequested":
      return `${id} ${at(e.last)} sent ${messageName(e.type)} request to ${hex(e.to)} at term ${e.term}`;
    case "voteReceived":
      return `${id} received ${messageName(e.type)}${e.granted ? "" : " rejection"} from ${hex(e.from)} at term ${e.term}`;
    case "votesCounted":
      return `${id} has received ${e.granted} ${messageName(e.type)} votes and ${e.rejected} vote rejections`;
    case "voteCast":
      return `${judged(e)} cast ${messageName(e.type)} for ${hex(e.from)} ${at(e.candidateLast)} at term ${e.term}`;
    case "voteRejected":
      return `${judged(e)} rejected ${messageName(e.type)} from ${hex(e.from)} ${at(e.candidateLast)} at term ${e.term}`;
    case "voteIgnoredInLease": {
      const what = `ignored ${messageName(e.type)} from ${hex(e.from)} ${at(e.candidateLast)} at term ${e.term}`;
      return `${judged(e)} ${what}: lease is not expired (remaining ticks: ${e.remainingTicks})`;
    }
    case "quorumLost":
      return `${id} stepped down to follower since quorum is not active`;
    case "higherTermReceived": {
      const what = `received a ${messageName(e.type)} message with higher term from ${hex(e.from)}`;
      return `${id} [term: ${e.term}] ${what} [term: ${e.messageTerm}]`;
    }
    case "lowerTermIgnored": {
      const what = `ignored a ${messageName(e.type)} message with lower term from ${hex(e.from)}`;
      return `${id} [term: ${e.term}] ${what} [term: ${e.messageTerm}]`;
    }
    case "staleAppendRespIgnored": {
      const what = `ignored entry appends from a ${messageName(e.type)} message with lower term`;
      return `${id} [term: ${e.term}] ${what} [term: ${e.messageTerm}]`;
    }
    case "proposalOverLimit":
      return `${id} appending new entries to log would exceed uncommitted entry size limit; dropping proposal`;
    case "proposalDroppedInTransfer":
      return `${id} [term ${e.term}] transfer leadership to ${hex(e.transferee)} is in progress; dropping proposal`;
    case "proposalDroppedNoLeader":
      return `${id} no leader at term ${e.term}; dropping proposal`;
    case "proposalNotForwarded":
      return `${id} not forwarding to leader ${hex(e.lead)} at term ${e.term}; dropping proposal`;
    case "confChangeIgnored": {
      const change = describeChange(e.change);
      return `${id} ignoring conf change ${change} at config ${renderMembership(e.conf)}: ${e.reason}`;
    }
    case "autoLeaveInitiated":
      return `initiating automatic transition out of joint configuration ${renderMembership(e.conf)}`;
    case "autoLeaveNotInitiated": {
      const conf = renderMembership(e.conf);
      return `not initiating automatic transition out of joint configuration ${conf}: raft proposal dropped`;
    }
    case "noProgress":
      return `${id} no progress available for ${hex(e.from)}`;
    case "appendRejected": {
      const hint = `hint: (index ${e.hint.index}, term ${e.hint.term})`;
      return `${id} received MsgAppResp(rejected, ${hint}) from ${hex(e.from)} for index ${e.index}`;
    }
    case "progressDecreased":
      return `${id} decreased progress of ${hex(e.to)} to [${renderProgress(e.progress)}]`;
    case "snapshotSkippedInactive":
      return `ignore sending snapshot to ${hex(e.to)} since it is not recently active`;
    case "snapshotUnavailable":
      return `${id} failed to send snapshot to ${hex(e.to)} because snapshot is temporarily unavailable`;
    case "snapshotSent": {
      const sent = `sent snapshot[index: ${e.snapshot.index}, term: ${e.snapshot.term}]`;
      const progress = renderProgress(e.progress);
      return `${id} [firstindex: ${e.firstIndex}, commit: ${e.commit}] ${sent} to ${hex(e.to)} [${progress}]`;
    }
    case "replicationPaused":
      return `${id} paused sending replication messages to ${hex(e.to)} [${renderProgress(e.progress)}]`;
    case "snapshotNoLongerNeeded": {
      const resumed = `resumed sending replication messages to ${hex(e.from)} [${renderProgress(e.progress)}]`;
      return `${id} recovered from needing snapshot, ${resumed}`;
    }
    case "snapshotReported": {
      const resumed = `resumed sending replication messages to ${hex(e.from)} [${renderProgress(e.progress)}]`;
      return `${id} snapshot ${e.failed ? "failed" : "succeeded"}, ${resumed}`;
    }
    case "peerUnreachable":
      return `${id} failed to send message to ${hex(e.from)} because it is unreachable [${renderProgress(e.progress)}]`;
    case "appendRefused":
      return `${id} ${at(e.local)} rejected MsgApp ${at(e.leaderPrevious)} from ${hex(e.from)}`;
    case "logConflict": {
      const terms = `existing term: ${e.existingTerm}, conflicting term: ${e.conflictingTerm}`;
      return `found conflict at index ${e.index} [${terms}]`;
    }
    case "unstableReplaced":
      return `replace the unstable entries from index ${e.index}`;
    case "unstableTruncated":
      return `truncate the unstable entries before index ${e.index}`;
    case "stableEntryMissing":
      return `entry at index ${e.index} missing from unstable log; ignoring`;
    case "stableEntryIsSnapshot":
      return `entry at index ${e.index} matched unstable snapshot; ignoring`;
    case "stableEntryMismatch": {
      const found = `(${e.index},${e.unstableTerm}) in unstable log; ignoring`;
      return `entry at (index,term)=(${e.index},${e.term}) mismatched with entry at ${found}`;
    }
    case "snapshotRestoring":
      return `log [${marks(e.log)}] starts to restore snapshot ${indexed(e.snapshot)}`;
    case "logRestored":
      return `${committed(e)} restored snapshot ${indexed(e.snapshot)}`;
    case "snapshotFastForwarded":
      return `${committed(e)} fast-forwarded commit to snapshot ${indexed(e.snapshot)}`;
    case "snapshotRestored":
      return `${id} [commit: ${e.commit}] restored snapshot ${indexed(e.snapshot)}`;
    case "snapshotIgnored":
      return `${id} [commit: ${e.commit}] ignored snapshot ${indexed(e.snapshot)}`;
    case "snapshotOnNonFollower":
      return `${id} attempted to restore snapshot as leader; should never happen`;
    case "snapshotWithoutSelf": {
      const conf = protoConfState(e.conf);
      return `${id} attempted to restore snapshot but it is not in the ConfState ${conf}; should never happen`;
    }
    case "transferStarted":
      return `${id} [term ${e.term}] starts to transfer leadership to ${hex(e.transferee)}`;
    case "transferAlreadyInProgress": {
      const to = hex(e.transferee);
      return `${id} [term ${e.term}] transfer leadership to ${to} is in progress, ignores request to same node ${to}`;
    }
    case "transferAborted":
      return `${id} [term ${e.term}] abort previous transferring leadership to ${hex(e.transferee)}`;
    case "transferToLearnerIgnored":
      return `${id} is learner. Ignored transferring leadership`;
    case "transferToSelfIgnored":
      return `${id} is already leader. Ignored transferring leadership to self`;
    case "transferDroppedNoLeader":
      return `${id} no leader at term ${e.term}; dropping leader transfer msg`;
    case "timeoutNowSent": {
      const to = hex(e.to);
      if (e.immediately) return `${id} sends MsgTimeoutNow to ${to} immediately as ${to} already has up-to-date log`;
      return `${id} sent MsgTimeoutNow to ${to} after received MsgAppResp`;
    }
    case "timeoutNowReceived": {
      const start = "and starts an election to get leadership.";
      return `${id} [term ${e.term}] received MsgTimeoutNow from ${hex(e.from)} ${start}`;
    }
    case "timeoutNowIgnored":
      return `${id} [term ${e.term} state ${stateName(e.state)}] ignored MsgTimeoutNow from ${hex(e.from)}`;
    case "leaderForgotten":
      return `${id} forgetting leader ${hex(e.lead)} at term ${e.term}`;
    case "forgetLeaderRefused":
      return "ignoring MsgForgetLeader due to ReadOnlyLeaseBased";
    case "readDroppedNoLeader":
      return `${id} no leader at term ${e.term}; dropping index reading msg`;
    case "readRespMalformed":
      return `${id} invalid format of MsgReadIndexResp from ${hex(e.from)}, entries count: ${e.entries}`;
  }
}

function at(p: LogPosition): string {
  return `[logterm: ${p.term}, index: ${p.index}]`;
}

function indexed(p: LogPosition): string {
  return `[index: ${p.index}, term: ${p.term}]`;
}

function judged(e: { readonly id: number; readonly last: LogPosition; readonly vote: number }): string {
  return `${hex(e.id)} [logterm: ${e.last.term}, index: ${e.last.index}, vote: ${hex(e.vote)}]`;
}

function committed(e: { readonly id: number; readonly commit: number; readonly last: LogPosition }): string {
  return `${hex(e.id)} [commit: ${e.commit}, lastindex: ${e.last.index}, lastterm: ${e.last.term}]`;
}

function marks(log: LogMarks): string {
  return (
    `committed=${log.committed}, applied=${log.applied}, applying=${log.applying}, unstable.offset=${log.unstableOffset}, ` +
    `unstable.offsetInProgress=${log.unstableOffsetInProgress}, len(unstable.Entries)=${log.unstableEntries}`
  );
}

const GO_TYPES: Record<ConfChangeType, string> = {
  addNode: "ConfChangeAddNode",
  removeNode: "ConfChangeRemoveNode",
  updateNode: "ConfChangeUpdateNode",
  addLearnerNode: "ConfChangeAddLearnerNode",
};
const GO_TRANSITIONS: Record<ConfChangeTransition, string> = {
  auto: "ConfChangeTransitionAuto",
  jointImplicit: "ConfChangeTransitionJointImplicit",
  jointExplicit: "ConfChangeTransitionJointExplicit",
};

/** Prints a membership as the text form of its protobuf message. */
function protoConfState(conf: ConfState): string {
  const list = (name: string, ids: readonly PeerId[]): string => ids.map((id) => `${name}:${id} `).join("");
  return (
    list("voters", conf.voters) +
    list("learners", conf.learners) +
    list("voters_outgoing", conf.votersOutgoing) +
    list("learners_next", conf.learnersNext) +
    `auto_leave:${String(conf.autoLeave)}`
  );
}

/** Prints a membership change, of either form, as the newer of the two. */
function describeChange(change: ConfChangeV2): string {
  const parts = change.changes.map(({ type, nodeId }) => ` changes:{type:${GO_TYPES[type]} node_id:${nodeId}}`);
  const context = change.context.length === 0 ? "" : ` context:${quote(change.context)}`;
  return `transition:${GO_TRANSITIONS[change.transition]}${parts.join("")}${context}`;
}
