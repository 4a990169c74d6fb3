import { broadcastAppend } from "./replication.js";
import { handleAppend, handleHeartbeat, handleSnapshot } from "./step-follower.js";
import { NO_PEER, type Message } from "./types.js";
import type { Raft, RaftStepResult } from "./raft.js";

/** Takes a message in while this peer stands for election, or asks whether it should. */
export function stepCandidate(r: Raft, m: Message): RaftStepResult {
  switch (m.type) {
    case "prop":
      r.emit?.({ kind: "proposalDroppedNoLeader", term: r.term });
      return "noLeader";
    // Somebody else won this term.
    case "app":
      r.becomeFollower(m.term, m.from);
      handleAppend(r, m);
      return "ok";
    case "heartbeat":
      r.becomeFollower(m.term, m.from);
      handleHeartbeat(r, m);
      return "ok";
    case "snap":
      r.becomeFollower(m.term, m.from);
      handleSnapshot(r, m);
      return "ok";
    case "voteResp":
    case "preVoteResp":
      // An answer to the question of the other phase is late.
      if (m.type === (r.state === "preCandidate" ? "preVoteResp" : "voteResp")) countVote(r, m);
      return "ok";
    case "timeoutNow":
      r.emit?.({ kind: "timeoutNowIgnored", term: r.term, state: r.state, from: m.from });
      return "ok";
    default:
      return "ok";
  }
}

function countVote(r: Raft, m: Message): void {
  r.emit?.({ kind: "voteReceived", type: m.type, from: m.from, term: r.term, granted: !m.reject });
  r.tracker.recordVote(m.from, !m.reject);
  const { granted, rejected, result } = r.tracker.tallyVotes();
  r.emit?.({ kind: "votesCounted", type: m.type, granted, rejected });
  if (result === "lost") {
    r.becomeFollower(r.term, NO_PEER);
  } else if (result === "won") {
    if (r.state === "preCandidate") {
      r.campaign("election");
    } else {
      r.becomeLeader();
      broadcastAppend(r);
    }
  }
}
