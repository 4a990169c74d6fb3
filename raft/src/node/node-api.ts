/** One group's peer as its user sees it: how it is started, asked and watched. */
import type { RheaError } from "@rhea/common";
import type { ConfState, PeerId, RaftStateType } from "../core/types.js";
import type { SnapshotStorage } from "../snapshot/api.js";
import type { PeerInfo } from "./peer-info.js";
import type { StateMachine, Task } from "./state-machine.js";

/**
 * How snapshots are kept for a state machine that keeps its state in memory: saved from time to time, loaded at the start, the log replayed
 * above. Such a state machine has `onSnapshotSave` and `onSnapshotLoad`, and no `durableIndex`.
 */
export interface SnapshotOptions {
  /** Where they are kept; of this group only. */
  readonly storage: SnapshotStorage;
  /** Ms between two; default 3,600,000. 0: none by time. The first one comes after half to all of it, and none where nothing was applied. */
  readonly intervalMs?: number;
  /** Entries applied since the newest at which another is saved; default 100,000, up to a quarter more by chance. 0: none by count. */
  readonly logEntries?: number;
  /** Bytes applied since the newest at which another is saved; default 64 MiB, up to a quarter more by chance. 0: none by bytes. */
  readonly logBytes?: number;
  /** Snapshots kept; at least 1, the default. The log is kept above the oldest of them, so that it can stand in for a damaged newer one. */
  readonly keep?: number;
}

/** How to start one group. Its log (`created` record) must not be destroyed or condemned. */
export interface GroupOptions {
  /** The group, a whole number above 0. */
  readonly groupId: number;
  /** This peer. */
  readonly peerId: PeerId;
  /** What the group replicates. */
  readonly stateMachine: StateMachine;
  /** The applied index from the state machine's own storage; default 0. Not with `snapshots`. */
  readonly applied?: number;
  /** Its term; default 0. */
  readonly appliedTerm?: number;
  /** The configuration at it; empty for a peer that learns it from its leader. With `snapshots`: the group's first members. */
  readonly confState: ConfState;
  /** Its members with their places; empty for a peer that joins. */
  readonly peers: readonly PeerInfo[];
  /** For a state machine that keeps its state in memory. */
  readonly snapshots?: SnapshotOptions;
  /** Campaign at once instead of waiting for a timeout (a split's child at the leader). */
  readonly campaignAtOnce?: boolean;
  /**
   * This peer's election priority, where `peers` does not say it: -1 (default) none, 0 never elected unless leadership is handed to it, above
   * that it campaigns only if no voter has a higher one, or none of those got elected for some election timeouts.
   */
  readonly priority?: number;
}

/** Progress of one peer as its leader sees it. */
export interface PeerStatus extends PeerInfo {
  /** Highest index that it is known to have. */
  readonly match: number;
  /** How entries are sent to it. */
  readonly state: "probe" | "replicate" | "snapshot";
  /** Ms since it was last heard of; 0 for the leader itself. */
  readonly lastActiveMs: number;
  /** Whether it replicates and is at most a few entries behind the commit index. */
  readonly isCaughtUp: boolean;
}

/**
 * What a peer is doing. `shutting`: it has stopped, but a call of its state machine or the save of a snapshot is not over yet. A peer that has
 * not started yet (see {@link RaftNode.started}) is a follower.
 */
export type NodeState = RaftStateType | "transferring" | "error" | "shutting" | "shutdown";

/** A committed entry of a user. */
export interface UserLog {
  /** Its index. */
  readonly index: number;
  /** Its term. */
  readonly term: number;
  /** What was proposed. */
  readonly data: Uint8Array;
}

/** Figures of one node. Counts and sums are since the start of the node; ms are summed. */
export interface NodeMetrics {
  /** The group. */
  readonly groupId: number;
  /** This peer. */
  readonly peerId: PeerId;
  /** What it is doing. */
  readonly state: NodeState;
  /** The current term. */
  readonly term: number;
  /** The leader as far as known; 0: none. */
  readonly leader: PeerId;
  /** Highest index known to be committed. */
  readonly committed: number;
  /** Highest index that the state machine has. */
  readonly applied: number;
  /** What the log has of this group; `bytes` of entries. */
  readonly log: { readonly firstIndex: number; readonly lastIndex: number; readonly bytes: number };
  /** Proposals made here. */
  readonly proposals: {
    /** Now waiting for their turn or in the log, not applied yet. */
    readonly pending: number;
    /** Their bytes. */
    readonly pendingBytes: number;
    /** Now waiting for room. */
    readonly waitingForRoom: number;
    /** Taken in. */
    readonly proposed: number;
    /** Their bytes. */
    readonly proposedBytes: number;
    /** Refused, or given up waiting, because a bound was reached. */
    readonly busy: number;
    /** Ended without being applied with their context, those counted as busy not among them. */
    readonly dropped: number;
    /** Applied with their context. */
    readonly applied: number;
    /** Ms from the turn that proposed them to the turn that applied them, over those applied. */
    readonly latencyMs: number;
  };
  /** Calls of `onApply`. */
  readonly apply: { readonly batches: number; readonly entries: number; readonly bytes: number; readonly ms: number };
  /** Snapshots; `saved` to `newestBytes` are 0 without the `snapshots` option. */
  readonly snapshots: {
    readonly saved: number;
    readonly failed: number;
    readonly saveMs: number;
    readonly newestIndex: number;
    readonly newestBytes: number;
    /** Loaded into the state machine. */
    readonly loaded: number;
    /** Sent to other peers, and attempts at that which failed. */
    readonly sent: number;
    readonly notSent: number;
  };
  /** Leader only, else empty: one for each other member. */
  readonly replication: readonly {
    readonly peerId: PeerId;
    readonly storeId: number;
    readonly role: PeerInfo["role"];
    readonly state: PeerStatus["state"];
    /** Entries that it is not known to have. */
    readonly lag: number;
    /** Append messages on their way. */
    readonly inflight: number;
    /** Ms since it was heard of. */
    readonly silentMs: number;
  }[];
}

/** A group's state at a glance. */
export interface NodeStatus {
  /** The group. */
  readonly groupId: number;
  /** This peer. */
  readonly peerId: PeerId;
  /** Its current term. */
  readonly term: number;
  /** The leader as far as known; 0: none. */
  readonly leader: PeerId;
  /** What it is doing. */
  readonly state: NodeState;
  /** Last index of its log. */
  readonly lastIndex: number;
  /** Highest index known to be committed. */
  readonly committed: number;
  /** Highest index that the state machine has. */
  readonly applied: number;
  /** The log begins after this index. */
  readonly truncatedIndex: number;
  /** The configuration in effect. */
  readonly confState: ConfState;
  /** The members. */
  readonly peers: readonly PeerInfo[];
  /** Leader only, else empty. */
  readonly progress: readonly PeerStatus[];
  /** Why it is in `error`, else undefined. */
  readonly error: RheaError | undefined;
}

/** How a change of members treats peers that become voters. All optional. */
export interface ChangeOptions {
  /** Makes them voters at once, whatever they have of the log: for callers that have watched them themselves. Default false. */
  readonly withoutCatchUp?: boolean;
  /** Entries that a learner may lack when it is promoted (JRaft's catchupMargin). Default 1,000. */
  readonly catchUpMargin?: number;
  /** Ms without progress after which a learner is given up; ten times as long while a snapshot is sent to it. Default 10 election timeouts. */
  readonly catchUpTimeoutMs?: number;
}

/** One group's peer in this process. */
export interface RaftNode {
  /** The group. */
  readonly groupId: number;
  /** This peer. */
  readonly peerId: PeerId;
  /** Whether this peer leads, as far as it knows. */
  readonly isLeader: boolean;
  /** The leader as far as known; 0: none. */
  readonly leaderId: PeerId;
  /** The current term. */
  readonly term: number;
  /** Highest index that the state machine has. */
  readonly applied: number;
  /** Proposes. Throws NOT_LEADER, SERVER_BUSY, PROPOSAL_DROPPED, SHUTTING_DOWN at once; later outcomes reach the state machine. */
  apply(task: Task): void;
  /**
   * Resolves once everything committed before the call is applied here; one shared round per group and turn. On followers it asks the
   * leader. Rejects with LEADER_NOT_AVAILABLE, NOT_LEADER or SHUTTING_DOWN; has no deadline of its own beyond two election timeouts.
   */
  readIndex(): Promise<void>;
  /**
   * Adds a peer, or promotes a learner (role voter). A new voter is first a learner and is promoted when it has caught up; if it does not
   * (see {@link ChangeOptions}), it is taken out again. A peer id of 0 lets the leader give one; the peer is then known by its store.
   *
   * This and all calls below that change members: at the leader only; resolve when the whole change is applied here; a configuration that is
   * as asked for already is success. Reject with NOT_LEADER (with the leader where known; `maybeApplied` where it may still happen),
   * CONF_CHANGE_BUSY while another change runs, OPERATION_REFUSED where it makes no sense or a learner does not catch up, STALE_COMMAND
   * where another leader's entry took its place, SHUTTING_DOWN.
   */
  addPeer(peer: PeerInfo, options?: ChangeOptions): Promise<void>;
  /** Removes a peer. Refused for the only voter, and for a leader with one other voter. A leader that removes itself steps down. */
  removePeer(peerId: PeerId): Promise<void>;
  /**
   * Makes `peers` the voters in one joint change, after the new ones among them have caught up as learners. Peers named with role learner
   * become learners (voters are demoted), voters that are not named are removed, learners that are not named stay. A leader that does not
   * stay a voter hands leadership over within the change.
   */
  changePeers(peers: readonly PeerInfo[], options?: ChangeOptions): Promise<void>;
  /**
   * Takes a configuration by force, at a peer of a group that lost its quorum for good: whatever the lost peers had and this one has not is
   * gone. To be asked at one surviving peer only, the one whose log reaches furthest; refused where a leader is known (it waits an election
   * timeout for one) and for a list without this peer as a voter. Durable before it takes effect. Peers of the old configuration that come
   * back are not heard by the new one; a listed one that had committed what is gone stops with STALE_IDENTITY. Resolves when the
   * configuration is in effect here. docs/design/0006-reset-peers.md.
   */
  resetPeers(peers: readonly PeerInfo[]): Promise<void>;
  /** Adds learners, all or none of those that are voters already. */
  addLearners(peers: readonly PeerInfo[]): Promise<void>;
  /** Removes learners. */
  removeLearners(peerIds: readonly PeerId[]): Promise<void>;
  /** Makes these, and no others, the learners. */
  resetLearners(peers: readonly PeerInfo[]): Promise<void>;
  /** Promotes a learner once it has caught up. NOT_FOUND where it is no member. */
  learnerToFollower(peerId: PeerId, options?: ChangeOptions): Promise<void>;
  /** The voters that this leader heard of within an election timeout, itself among them. Throws NOT_LEADER elsewhere. */
  listAlivePeers(): readonly PeerInfo[];
  /** The learners that this leader heard of within an election timeout. Throws NOT_LEADER elsewhere. */
  listAliveLearners(): readonly PeerInfo[];
  /** Resolves when the target leads; `any`: the voter that follows closest. TRANSFER_FAILED after an election timeout. */
  transferLeadershipTo(peerId: PeerId | "any"): Promise<void>;
  /**
   * Resolves when this peer takes part: its snapshot is loaded, an interrupted install finished. Rejects with its error, or SHUTTING_DOWN.
   * Before, it leads nothing and answers nobody.
   */
  started(): Promise<void>;
  /**
   * Saves a snapshot of at least what is applied now, on any peer, and resolves with its index once it is durable; the log is cut behind it.
   * Without the `snapshots` option the log is cut as far as the state machine's `durableIndex` allows, which is the index answered.
   * Rejects with OPERATION_REFUSED where there is neither, with what `onSnapshotSave` rejected with, DISK_FULL, DISK_FAILED or SHUTTING_DOWN.
   */
  snapshot(): Promise<{ readonly index: number }>;
  /** Returns the members of the configuration in effect, learners too. */
  listPeers(): readonly PeerInfo[];
  /**
   * Returns the committed user entry at `index` or, where that is none (a membership change, the begin of a term), the next one.
   * Throws INVALID_ARGUMENT for an index that this peer does not know to be committed, NOT_FOUND where the log was cut or holds no user entry
   * from there on.
   */
  readCommittedUserLog(index: number): UserLog;
  /** Returns the state at a glance. */
  status(): NodeStatus;
  /** Returns figures since the start; cheap enough for every scrape. */
  metrics(): NodeMetrics;
  /** Returns some lines for a person to read. */
  describe(): string;
  /**
   * Stops the peer for this process and takes it out of its host: those who wait are answered with SHUTTING_DOWN. The log stays; the group
   * may be created again after {@link RaftNode.join}.
   */
  shutdown(): void;
  /** Resolves after {@link RaftNode.shutdown} once its state machine is called no more and no snapshot is being saved. */
  join(): Promise<void>;
  /** Campaigns at once instead of waiting for a timeout. Nothing happens on a leader or learner. */
  campaign(): void;
}
