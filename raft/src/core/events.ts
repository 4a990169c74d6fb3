import type { ConfChangeV2, ConfState, MessageType, PeerId, ProgressStatus, RaftStateType } from "./types.js";

/** Says how loud an event is. */
export type RaftEventLevel = "debug" | "info" | "warn" | "error";

/** Is a log position: an entry's term and index. */
export interface LogPosition {
  /** Its term. */
  readonly term: number;
  /** Index of the entry. */
  readonly index: number;
}

/** Is the state of the log's marks, for messages about it. */
export interface LogMarks {
  /** Highest index known to be committed. */
  readonly committed: number;
  /** Highest index that has been applied. */
  readonly applied: number;
  /** Highest index handed out for applying. */
  readonly applying: number;
  /** Index at which the entries begin that are not in stable storage. */
  readonly unstableOffset: number;
  /** Index up to which unstable entries were handed out for writing. */
  readonly unstableOffsetInProgress: number;
  /** How many entries are not in stable storage. */
  readonly unstableEntries: number;
}

/** Carries what an election message and the local log were when a vote was judged. */
export interface VoteJudgement {
  /** The last entry of the log here. */
  readonly last: LogPosition;
  /** Whom this peer had voted for; 0: nobody. */
  readonly vote: PeerId;
  /** The request. */
  readonly type: MessageType;
  /** The candidate. */
  readonly from: PeerId;
  /** The candidate's last entry. */
  readonly candidateLast: LogPosition;
  /** The term of this peer. */
  readonly term: number;
}

/** Lists what happens to a peer that a log file would tell. `id` is the peer it happens to. */
export type RaftEvent = { readonly id: PeerId } & (
  | {
      readonly kind: "started";
      readonly voters: readonly PeerId[];
      readonly term: number;
      readonly commit: number;
      readonly applied: number;
      readonly last: LogPosition;
    }
  | { readonly kind: "membershipSwitched"; readonly conf: ConfState }
  | {
      readonly kind: "becameFollower" | "becameCandidate" | "becamePreCandidate" | "becameLeader";
      readonly term: number;
    }
  // Elections.
  | { readonly kind: "electionStarted"; readonly term: number }
  | { readonly kind: "campaignIgnoredAsLeader" }
  | { readonly kind: "campaignIgnoredUnpromotable" }
  | { readonly kind: "campaignIgnoredPendingConfChange"; readonly term: number }
  | {
      readonly kind: "campaignDeferredByPriority";
      readonly term: number;
      readonly priority: number;
      readonly target: number;
    }
  | {
      readonly kind: "voteRequested";
      readonly last: LogPosition;
      readonly type: MessageType;
      readonly to: PeerId;
      readonly term: number;
    }
  | {
      readonly kind: "voteReceived";
      readonly type: MessageType;
      readonly from: PeerId;
      readonly term: number;
      readonly granted: boolean;
    }
  | { readonly kind: "votesCounted"; readonly type: MessageType; readonly granted: number; readonly rejected: number }
  | ({ readonly kind: "voteCast" | "voteRejected" } & VoteJudgement)
  | ({ readonly kind: "voteIgnoredInLease"; readonly remainingTicks: number } & VoteJudgement)
  | { readonly kind: "quorumLost" }
  // Terms.
  | {
      readonly kind: "higherTermReceived";
      readonly term: number;
      readonly type: MessageType;
      readonly from: PeerId;
      readonly messageTerm: number;
    }
  | {
      readonly kind: "lowerTermIgnored";
      readonly term: number;
      readonly type: MessageType;
      readonly from: PeerId;
      readonly messageTerm: number;
    }
  | {
      readonly kind: "staleAppendRespIgnored";
      readonly term: number;
      readonly type: MessageType;
      readonly messageTerm: number;
    }
  // Proposals.
  | { readonly kind: "proposalOverLimit" }
  | { readonly kind: "proposalDroppedInTransfer"; readonly term: number; readonly transferee: PeerId }
  | { readonly kind: "proposalDroppedNoLeader"; readonly term: number }
  | { readonly kind: "proposalNotForwarded"; readonly lead: PeerId; readonly term: number }
  | {
      readonly kind: "confChangeIgnored";
      readonly change: ConfChangeV2;
      readonly conf: ConfState;
      readonly reason: string;
    }
  | { readonly kind: "autoLeaveInitiated"; readonly conf: ConfState }
  | { readonly kind: "autoLeaveNotInitiated"; readonly conf: ConfState }
  // Replication, on the leader.
  | { readonly kind: "noProgress"; readonly from: PeerId }
  | { readonly kind: "appendRejected"; readonly from: PeerId; readonly index: number; readonly hint: LogPosition }
  | { readonly kind: "progressDecreased"; readonly to: PeerId; readonly progress: ProgressStatus }
  | { readonly kind: "snapshotSkippedInactive"; readonly to: PeerId }
  | { readonly kind: "snapshotUnavailable"; readonly to: PeerId }
  | {
      readonly kind: "snapshotSent";
      readonly firstIndex: number;
      readonly commit: number;
      readonly snapshot: LogPosition;
      readonly to: PeerId;
      readonly progress: ProgressStatus;
    }
  | { readonly kind: "replicationPaused"; readonly to: PeerId; readonly progress: ProgressStatus }
  | { readonly kind: "snapshotNoLongerNeeded"; readonly from: PeerId; readonly progress: ProgressStatus }
  | {
      readonly kind: "snapshotReported";
      readonly from: PeerId;
      readonly failed: boolean;
      readonly progress: ProgressStatus;
    }
  | { readonly kind: "peerUnreachable"; readonly from: PeerId; readonly progress: ProgressStatus }
  // Replication, on a follower.
  | {
      readonly kind: "appendRefused";
      readonly local: LogPosition;
      readonly leaderPrevious: LogPosition;
      readonly from: PeerId;
    }
  | {
      readonly kind: "logConflict";
      readonly index: number;
      readonly existingTerm: number;
      readonly conflictingTerm: number;
    }
  | { readonly kind: "unstableReplaced" | "unstableTruncated"; readonly index: number }
  | { readonly kind: "stableEntryMissing" | "stableEntryIsSnapshot"; readonly index: number }
  | {
      readonly kind: "stableEntryMismatch";
      readonly index: number;
      readonly term: number;
      readonly unstableTerm: number;
    }
  | { readonly kind: "snapshotRestoring"; readonly log: LogMarks; readonly snapshot: LogPosition }
  | {
      readonly kind: "logRestored";
      readonly commit: number;
      readonly last: LogPosition;
      readonly snapshot: LogPosition;
    }
  | {
      readonly kind: "snapshotFastForwarded";
      readonly commit: number;
      readonly last: LogPosition;
      readonly snapshot: LogPosition;
    }
  | { readonly kind: "snapshotRestored" | "snapshotIgnored"; readonly commit: number; readonly snapshot: LogPosition }
  | { readonly kind: "snapshotOnNonFollower" }
  | { readonly kind: "snapshotWithoutSelf"; readonly conf: ConfState }
  // Leadership transfer, forgetting the leader, reads.
  | { readonly kind: "transferStarted"; readonly term: number; readonly transferee: PeerId }
  | { readonly kind: "transferAlreadyInProgress"; readonly term: number; readonly transferee: PeerId }
  | { readonly kind: "transferAborted"; readonly term: number; readonly transferee: PeerId }
  | { readonly kind: "transferToLearnerIgnored" }
  | { readonly kind: "transferToSelfIgnored" }
  | { readonly kind: "transferDroppedNoLeader"; readonly term: number }
  | { readonly kind: "timeoutNowSent"; readonly to: PeerId; readonly immediately: boolean }
  | { readonly kind: "timeoutNowReceived"; readonly term: number; readonly from: PeerId }
  | { readonly kind: "timeoutNowIgnored"; readonly term: number; readonly state: RaftStateType; readonly from: PeerId }
  | { readonly kind: "leaderForgotten"; readonly lead: PeerId; readonly term: number }
  | { readonly kind: "forgetLeaderRefused" }
  | { readonly kind: "readDroppedNoLeader"; readonly term: number }
  | { readonly kind: "readRespMalformed"; readonly from: PeerId; readonly entries: number }
);

/** Omits the peer's id, which the raft instance adds. */
export type RaftEventBody = RaftEvent extends infer E ? (E extends RaftEvent ? Omit<E, "id"> : never) : never;

const DEBUG_EVENTS: ReadonlySet<RaftEvent["kind"]> = new Set([
  "campaignIgnoredAsLeader",
  "campaignDeferredByPriority",
  "proposalDroppedInTransfer",
  "autoLeaveNotInitiated",
  "noProgress",
  "appendRejected",
  "progressDecreased",
  "snapshotSkippedInactive",
  "snapshotUnavailable",
  "snapshotSent",
  "replicationPaused",
  "snapshotNoLongerNeeded",
  "snapshotReported",
  "peerUnreachable",
  "appendRefused",
  "transferToLearnerIgnored",
  "transferToSelfIgnored",
  "timeoutNowIgnored",
]);

const WARN_EVENTS: ReadonlySet<RaftEvent["kind"]> = new Set([
  "campaignIgnoredUnpromotable",
  "campaignIgnoredPendingConfChange",
  "quorumLost",
  "proposalOverLimit",
  "snapshotOnNonFollower",
  "snapshotWithoutSelf",
]);

/** Returns how loud an event is. */
export function raftEventLevel(kind: RaftEvent["kind"]): RaftEventLevel {
  if (DEBUG_EVENTS.has(kind)) return "debug";
  if (WARN_EVENTS.has(kind)) return "warn";
  return kind === "forgetLeaderRefused" || kind === "readRespMalformed" ? "error" : "info";
}
