import type { RaftEvent } from "./events.js";

/** Names a member of a raft group; 0 means "none". */
export type PeerId = number;

/** The peer id that stands for "nobody". */
export const NO_PEER: PeerId = 0;

/** Addresses `storageAppend` messages: the host's log writer. Never a real peer. */
export const LOCAL_APPEND_THREAD: PeerId = -1;

/** Addresses `storageApply` messages: the host's state machine applier. Never a real peer. */
export const LOCAL_APPLY_THREAD: PeerId = -2;

/** Says that a limit given in bytes does not bind. */
export const NO_LIMIT: number = Number.MAX_SAFE_INTEGER;

/** Tells what the data of an entry is: a user's bytes, or an encoded change of the membership. */
export type EntryType = "normal" | "confChange" | "confChangeV2";

/** Is one record of the replicated log. */
export interface Entry {
  /** Term of the leader that made it. */
  readonly term: number;
  /** Its place in the log. */
  readonly index: number;
  /** What its data are. */
  readonly type: EntryType;
  /** The proposal, or an encoded membership change; empty for the entry that begins a term. */
  readonly data: Uint8Array;
}

/** Is what a peer must have on disk before any message that depends on it leaves. Term and vote never regress. */
export interface HardState {
  /** Newest term seen. */
  readonly term: number;
  /** Whom this peer voted for in it; 0: nobody. */
  readonly vote: PeerId;
  /** Highest index known to be committed. */
  readonly commit: number;
}

/** Is the role a peer plays in its current term. */
export type RaftStateType = "follower" | "preCandidate" | "candidate" | "leader";

/** Is what is worth telling the host but need not be stored. */
export interface SoftState {
  /** The leader as far as known; 0: none. */
  readonly lead: PeerId;
  /** The role. */
  readonly state: RaftStateType;
}

/** Is the membership in effect, in the form that snapshots carry. */
export interface ConfState {
  /** Voters of the (incoming) configuration. */
  readonly voters: readonly PeerId[];
  /** Peers that replicate without a vote. */
  readonly learners: readonly PeerId[];
  /** Is the voters of the outgoing half while the configuration is joint, else empty. */
  readonly votersOutgoing: readonly PeerId[];
  /** Is the outgoing voters that become learners when the joint configuration is left. */
  readonly learnersNext: readonly PeerId[];
  /** Whether the leader proposes by itself to leave the joint configuration. */
  readonly autoLeave: boolean;
}

/** Says which state a snapshot holds: everything up to and including `index`. */
export interface SnapshotMetadata {
  /** The configuration at its index. */
  readonly confState: ConfState;
  /** The last index that it holds. */
  readonly index: number;
  /** Term of that entry. */
  readonly term: number;
}

/** Is a state machine's state; `data` is opaque to the core (usually a reference to files the host ships itself). */
export interface Snapshot {
  /** Where in the log it is. */
  readonly metadata: SnapshotMetadata;
  /** The state, or what names it. */
  readonly data: Uint8Array;
}

/** Lists everything a peer can be told, by others or by its own host. */
export type MessageType =
  | "hup"
  | "beat"
  | "prop"
  | "app"
  | "appResp"
  | "vote"
  | "voteResp"
  | "snap"
  | "heartbeat"
  | "heartbeatResp"
  | "unreachable"
  | "snapStatus"
  | "checkQuorum"
  | "transferLeader"
  | "timeoutNow"
  | "readIndex"
  | "readIndexResp"
  | "preVote"
  | "preVoteResp"
  | "storageAppend"
  | "storageAppendResp"
  | "storageApply"
  | "storageApplyResp"
  | "forgetLeader";

/** Is one message between peers, or between a peer and its local storage threads. Fields a type does not use are 0, false or empty. */
export interface Message {
  /** What it is; says which other fields mean something. */
  readonly type: MessageType;
  /** Receiver, or a local thread. */
  readonly to: PeerId;
  /** Sender. */
  readonly from: PeerId;
  /** Is the sender's term; 0 marks a local message. */
  readonly term: number;
  /** Term of the entry at `index`. */
  readonly logTerm: number;
  /** The entry that the message is about. */
  readonly index: number;
  /** Entries to append or to apply. */
  readonly entries: readonly Entry[];
  /** The commit index that the sender tells or wants written. */
  readonly commit: number;
  /** Is used by `storageAppend` only: the vote to store along with term and commit. */
  readonly vote: PeerId;
  /** The snapshot to install. */
  readonly snapshot?: Snapshot | undefined;
  /** Whether a response refuses. */
  readonly reject: boolean;
  /** On refusal: where the receiver thinks that the logs may agree. */
  readonly rejectHint: number;
  /** Round of a read, or `transfer` in a vote. */
  readonly context?: Uint8Array | undefined;
  /** Is used by `storageAppend` and `storageApply`: what to deliver once the write is durable (append) or done (apply). */
  readonly responses?: readonly Message[] | undefined;
}

/** Is the kind of one membership change. `addNode` also promotes a learner; `addLearnerNode` also demotes a voter. */
export type ConfChangeType = "addNode" | "removeNode" | "updateNode" | "addLearnerNode";

/** Is one membership change of a `ConfChangeV2`. */
export interface ConfChangeSingle {
  /** What to do. */
  readonly type: ConfChangeType;
  /** To which peer. */
  readonly nodeId: PeerId;
}

/** Says how a `ConfChangeV2` takes effect: `auto` goes through a joint configuration only when it must. */
export type ConfChangeTransition = "auto" | "jointImplicit" | "jointExplicit";

/** Is a membership change. Without changes it leaves a joint configuration. */
export interface ConfChangeV2 {
  /** How a joint configuration is left. */
  readonly transition: ConfChangeTransition;
  /** The steps, taken together; none: leave the joint configuration. */
  readonly changes: readonly ConfChangeSingle[];
  /** Is an opaque blob of the host that travels with the change. */
  readonly context: Uint8Array;
}

/** Is the older form of a membership change: exactly one change, never joint. */
export interface ConfChange {
  /** What to do. */
  readonly type: ConfChangeType;
  /** To which peer. */
  readonly nodeId: PeerId;
  /** Bytes of the proposer, carried along unread. */
  readonly context: Uint8Array;
}

/**
 * Gives the core read access to what the host has stored. All calls are synchronous: the host keeps the recent log in memory.
 * The core never writes; the host does, from a `Ready` or a `storageAppend` message.
 */
export interface Storage {
  /** Returns what was stored last, or a zero hard state and an empty membership for a new peer. */
  initialState(): { readonly hardState: HardState; readonly confState: ConfState };
  /**
   * Returns entries of [lo, hi), at least one, and no more than fit in `maxBytes` (counted by `entrySize`).
   * @throws StorageCompactedError when lo < firstIndex; StorageUnavailableError when hi > lastIndex + 1.
   */
  entries(lo: number, hi: number, maxBytes: number): readonly Entry[];
  /**
   * Returns the term of an entry of [firstIndex - 1, lastIndex].
   * @throws StorageCompactedError or StorageUnavailableError outside of it.
   */
  term(index: number): number;
  /** Returns the index of the first entry that is (or would be) available; everything before is in the snapshot. */
  firstIndex(): number;
  /** Returns the index of the last entry, or firstIndex - 1 when there is none. */
  lastIndex(): number;
  /**
   * Returns the newest snapshot.
   * @throws SnapshotTemporarilyUnavailableError when it is being made; the core asks again later.
   */
  snapshot(): Snapshot;
}

/** Says how a leader proves that it still leads before it answers a read. `leaseBased` trusts clocks and needs CheckQuorum. */
export type ReadOnlyOption = "safe" | "leaseBased";

/** Configures one peer of one group. */
export interface RaftConfig {
  /** Is this peer's id, above 0. */
  readonly id: PeerId;
  /** Is the number of ticks without a leader's sign of life before an election; must exceed `heartbeatTick` (10 times is usual). */
  readonly electionTick: number;
  /** Is the number of ticks between two heartbeats of a leader, at least 1. */
  readonly heartbeatTick: number;
  /** What is durable. */
  readonly storage: Storage;
  /** Is the last index the state machine already holds; entries up to it are not handed out again. Default 0. */
  readonly applied?: number;
  /** Replaces `advance()` by storage messages that carry their own acknowledgements. Default false. */
  readonly asyncStorageWrites?: boolean;
  /** Bounds the entry bytes of one append message; 0 means one entry per message. Default no limit. */
  readonly maxSizePerMsg?: number;
  /** Bounds the committed entry bytes handed out and not yet applied; default (or 0) `maxSizePerMsg`. */
  readonly maxCommittedSizePerReady?: number;
  /** Bounds the payload bytes in a leader's uncommitted tail; beyond it proposals are dropped. Default (or 0) no limit. */
  readonly maxUncommittedEntriesSize?: number;
  /** Bounds the append messages in flight to one follower, at least 1. Default 256. */
  readonly maxInflightMsgs?: number;
  /** Bounds the entry bytes in flight to one follower; at least `maxSizePerMsg`. Default (or 0) no limit. */
  readonly maxInflightBytes?: number;
  /** Makes a leader step down when it has not heard from a quorum for an election timeout, and peers with a live leader refuse votes. Default false. */
  readonly checkQuorum?: boolean;
  /** Makes a candidate ask whether it could win before it raises its term (thesis 9.6). Default false. */
  readonly preVote?: boolean;
  /** Default "safe". All peers of a group must have the same. */
  readonly readOnlyOption?: ReadOnlyOption;
  /**
   * Is this peer's election priority: -1 does without (the default), 0 is never elected unless leadership is handed over to it, above 0
   * it campaigns only if no voter has a higher one (see `RawNode.setPriorities`), or none of those got elected for a while.
   */
  readonly priority?: number;
  /** Drops proposals on followers instead of forwarding them to the leader. Default false. */
  readonly disableProposalForwarding?: boolean;
  /** Lets membership changes into the log that do not fit the membership in effect; the host must then serialise them itself. Default false. */
  readonly disableConfChangeValidation?: boolean;
  /** Makes a leader step down when it is removed or becomes a learner. Default false. */
  readonly stepDownOnRemoval?: boolean;
  /** Returns a uniform integer of [0, n). It spreads election timeouts. */
  readonly random: (n: number) => number;
  /** Receives what a log file would: called synchronously, must not call back into the core. */
  readonly onEvent?: (event: RaftEvent) => void;
}

/** Answers a `readIndex` call: the read may be served once the state machine has applied `index`. */
export interface ReadState {
  /** The index that must be applied before the read. */
  readonly index: number;
  /** Is the caller's own bytes, passed through. */
  readonly requestCtx: Uint8Array;
}

/**
 * Is everything a host has to do before the core can go on. Order in the synchronous mode: store `entries`, `hardState` and
 * `snapshot` (durably when `mustSync`), then send `messages`, then apply `committedEntries`, then call `advance()`.
 * In the asynchronous mode only `messages` need handling: those to LOCAL_APPEND_THREAD and LOCAL_APPLY_THREAD say what to store and apply.
 */
export interface Ready {
  /** Is present when leader or role changed. */
  readonly softState?: SoftState | undefined;
  /** Is present when it changed. */
  readonly hardState?: HardState | undefined;
  /** Reads that are confirmed. */
  readonly readStates: readonly ReadState[];
  /** Is the entries to store; a stored entry of the same or a higher index is replaced. */
  readonly entries: readonly Entry[];
  /** Is a snapshot to install before the entries are stored. */
  readonly snapshot?: Snapshot | undefined;
  /** Is the entries to hand to the state machine; they are already stored in the synchronous mode. */
  readonly committedEntries: readonly Entry[];
  /** What may be sent. */
  readonly messages: readonly Message[];
  /** Says that entries, term or vote changed, so that the write must be durable before messages leave. */
  readonly mustSync: boolean;
}

/** Is the state of replication to one peer: looking for the match point, streaming, or waiting for a snapshot. */
export type ProgressState = "probe" | "replicate" | "snapshot";

/** Is what a leader knows about one peer, copied out for status pages. */
export interface ProgressStatus {
  /** How entries are sent to it. */
  readonly state: ProgressState;
  /** Is the highest index known to be stored on the peer. Invariant: match < next. */
  readonly match: number;
  /** Is the index of the next entry to send. */
  readonly next: number;
  /** Whether it was heard of within the last election timeout. */
  readonly recentActive: boolean;
  /** Whether it has no vote. */
  readonly isLearner: boolean;
  /** Whether nothing may be sent to it now. */
  readonly paused: boolean;
  /** Is the index of the snapshot on its way, else 0. */
  readonly pendingSnapshot: number;
  /** Append messages on their way. */
  readonly inflightMsgs: number;
  /** Bytes of entries on their way. */
  readonly inflightBytes: number;
  /** Says that the inflight window is full. */
  readonly inflightFull: boolean;
}

/** Is the cheap part of a peer's status. The object is reused: read it, do not keep it. */
export interface BasicStatus {
  /** This peer. */
  readonly id: PeerId;
  /** Its current term. */
  readonly term: number;
  /** Whom it voted for in that term; 0: nobody. */
  readonly vote: PeerId;
  /** Highest index known to be committed. */
  readonly commit: number;
  /** The leader of the term as far as known; 0: none. */
  readonly lead: PeerId;
  /** Its role. */
  readonly state: RaftStateType;
  /** Highest index that has been applied. */
  readonly applied: number;
  /** Whom leadership is being handed to; 0: nobody. */
  readonly leadTransferee: PeerId;
}

/** Is the whole status of a peer: a copy that may be kept. */
export interface RaftStatus extends BasicStatus {
  /** The configuration in effect. */
  readonly confState: ConfState;
  /** First index of the log. */
  readonly firstIndex: number;
  /** Last index of the log. */
  readonly lastIndex: number;
  /** Is filled on a leader only; keyed by peer, in ascending order. */
  readonly progress: ReadonlyMap<PeerId, ProgressStatus>;
}
