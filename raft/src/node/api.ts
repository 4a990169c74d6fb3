/** The host's border: JRaft's Node, Task, StateMachine and CliService for many groups in one process. */
import type { Clock, Disk, Logger, Net, RheaError, Rng, RpcServer, Scheduler } from "@rhea/common";
import type { ConfState, Entry, EntryType, HardState, PeerId, RaftStateType } from "../core/types.js";
import type { RaftLog } from "../log/api.js";

/** A member of a group. Peer ids are never reused. */
export interface PeerInfo {
  readonly peerId: PeerId;
  readonly storeId: number;
  readonly role: "voter" | "learner";
}

/** Epoch and range that initial messages of a group carry, so that the receiver can judge whether to create a peer. */
export interface GroupDescription {
  readonly epoch: { readonly confVer: number; readonly version: number };
  readonly startKey: Uint8Array;
  readonly endKey: Uint8Array;
}

/** A message for a group that this host does not have. Only initial messages come here. */
export interface UnknownPeerMessage extends GroupDescription {
  readonly groupId: number;
  readonly toPeer: PeerId;
  readonly fromPeer: PeerId;
  readonly fromStore: number;
  readonly term: number;
}

/** A user's proposal. */
export interface Task {
  readonly data: Uint8Array;
  /** Travels in memory to `onApply` on the proposer, and to `onDropped` if the entry is lost. */
  readonly context?: unknown;
  /** Refuse if the group's term is another one by now. */
  readonly expectedTerm?: number;
}

/** An entry handed to the state machine. */
export interface CommittedEntry {
  readonly index: number;
  readonly term: number;
  /** Empty for the entry with which a leader begins its term: skip it, but count the index. */
  readonly data: Uint8Array;
  /** What the proposer gave with it, if it was proposed here by this process. */
  readonly context: unknown;
}

/** A committed membership change, before it takes effect. */
export interface CommittedConfChange {
  readonly index: number;
  readonly term: number;
  readonly type: Exclude<EntryType, "normal">;
  /** What changes, with the stores from the change's context. */
  readonly changes: readonly { readonly action: "addVoter" | "addLearner" | "remove"; readonly peer: PeerInfo }[];
  /** True for the automatic end of a joint configuration (no changes). */
  readonly isLeavingJoint: boolean;
}

/** Where a snapshot is written to or read from: a directory of named files, staged by the host. */
export interface SnapshotFiles {
  /** Directory, through the host's disk. */
  readonly directory: string;
  readonly names: readonly string[];
}

/** What a saved snapshot holds. */
export interface SavedSnapshot {
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState;
  readonly peers: readonly PeerInfo[];
  /** Names of the files written into the directory. */
  readonly names: readonly string[];
}

/** The replicated state of one group. All but `onApply` are optional, as in JRaft. Called on the event loop, never re-entrantly. */
export interface StateMachine {
  /**
   * Applies committed entries, in order, in batches. A returned promise holds back this group's later entries until it
   * resolves. Throwing puts the group in `error` for good.
   */
  onApply(entries: readonly CommittedEntry[]): void | Promise<void>;
  /** Judges a committed change at its place in the log. False: it has no effect (the same answer on every replica). */
  onConfChange?(change: CommittedConfChange): boolean;
  /** Told after the change took effect. */
  onConfigurationCommitted?(confState: ConfState, peers: readonly PeerInfo[], index: number): void;
  /** A proposal made here that will not be applied with its context: overwritten, or leadership was lost (`maybeApplied`). */
  onDropped?(context: unknown, error: RheaError): void;
  onLeaderStart?(term: number): void;
  onLeaderStop?(reason: string): void;
  /** The leader, as far as known, changed (0: none). */
  onLeaderChange?(leader: PeerId, term: number): void;
  /** Writes a snapshot of the applied state into `directory`. */
  onSnapshotSave?(directory: string): Promise<SavedSnapshot>;
  /** Replaces the whole state. Resolves when it is durable; called again after a crash in between. */
  onSnapshotLoad?(files: SnapshotFiles, snapshot: SavedSnapshot): Promise<void>;
  /** The applied index up to which the state machine's own storage is durable: the log is needed only above it. */
  durableIndex?(): number;
  onError?(error: RheaError): void;
  onShutdown?(): void;
}

/** How to start one group. Its log (`created` record) must not be destroyed or condemned. */
export interface GroupOptions {
  readonly groupId: number;
  readonly peerId: PeerId;
  readonly stateMachine: StateMachine;
  /** The applied index, its term and the configuration at it, from the state machine's own storage. */
  readonly applied: number;
  readonly appliedTerm: number;
  readonly confState: ConfState;
  readonly peers: readonly PeerInfo[];
  /** Campaign at once instead of waiting for a timeout (a split's child at the leader). */
  readonly campaignAtOnce?: boolean;
}

/** Progress of one peer as its leader sees it. */
export interface PeerStatus extends PeerInfo {
  readonly match: number;
  readonly state: "probe" | "replicate" | "snapshot";
  /** Ms since it was last heard of; 0 for the leader itself. */
  readonly lastActiveMs: number;
  readonly isCaughtUp: boolean;
}

/** A group's state at a glance. */
export interface NodeStatus {
  readonly groupId: number;
  readonly peerId: PeerId;
  readonly term: number;
  readonly leader: PeerId;
  readonly state: RaftStateType | "transferring" | "error" | "shutdown";
  readonly lastIndex: number;
  readonly committed: number;
  readonly applied: number;
  readonly truncatedIndex: number;
  readonly confState: ConfState;
  readonly peers: readonly PeerInfo[];
  /** Leader only, else empty. */
  readonly progress: readonly PeerStatus[];
  readonly error: RheaError | undefined;
}

/** One group's peer in this process. */
export interface RaftNode {
  readonly groupId: number;
  readonly peerId: PeerId;
  readonly isLeader: boolean;
  readonly leaderId: PeerId;
  readonly term: number;
  readonly applied: number;
  /** Proposes. Throws NOT_LEADER, SERVER_BUSY, PROPOSAL_DROPPED, SHUTTING_DOWN at once; later outcomes reach the state machine. */
  apply(task: Task): void;
  /**
   * Resolves once everything committed before the call is applied here; one shared round per group and turn. On followers it asks the
   * leader. Rejects with LEADER_NOT_AVAILABLE, NOT_LEADER or SHUTTING_DOWN; has no deadline of its own beyond two election timeouts.
   */
  readIndex(): Promise<void>;
  /** Adds a voter or learner, or promotes a learner (role voter). Resolves when applied here. Idempotent: a peer already there in that role is success. CONF_CHANGE_BUSY while another change runs. */
  addPeer(peer: PeerInfo): Promise<void>;
  /** Removes a peer. Idempotent. */
  removePeer(peerId: PeerId): Promise<void>;
  /** Resolves when the target leads. TRANSFER_FAILED after an election timeout. */
  transferLeadershipTo(peerId: PeerId): Promise<void>;
  listPeers(): readonly PeerInfo[];
  /** Renews the member list after the state machine changed it by itself. */
  status(): NodeStatus;
  campaign(): void;
}

/** Limits of a host; all optional in {@link RaftHostOptions}. */
export interface HostLimits {
  /** Ms per tick; default 100. */
  readonly tickMs: number;
  /** Default 8: election timeout random in 800..1,600 ms. */
  readonly electionTicks: number;
  /** Default 2. */
  readonly heartbeatTicks: number;
  /** Bytes of entries per append message; default 1 MiB. */
  readonly maxMessageBytes: number;
  /** Default 256. */
  readonly maxInflightMessages: number;
  /** Uncommitted bytes per group; default 64 MiB. */
  readonly maxUncommittedBytes: number;
  /** Proposals waiting per group; default 16,384. Over it SERVER_BUSY. */
  readonly maxPendingProposals: number;
  /** Entries kept behind the slowest live follower at most; default 100,000. */
  readonly maxLogEntries: number;
  /** Bytes of one group's log kept for a slow follower at most; default 64 MiB. */
  readonly maxLogBytes: number;
  /** Snapshots at once, each way; default 4. */
  readonly maxSnapshots: number;
}

/** Hears what consensus does in one process, for checks over many of them. */
export interface RaftObserver {
  /** A peer began to lead `term`; its log reaches to `lastIndex`. */
  onLeader?(groupId: number, peerId: PeerId, term: number, lastIndex: number): void;
  /** Committed entries are about to be applied, membership changes among them. */
  onCommitted?(groupId: number, peerId: PeerId, entries: readonly Entry[]): void;
  /** A term and vote became durable. */
  onHardState?(groupId: number, peerId: PeerId, state: HardState): void;
}

/** What a host needs. */
export interface RaftHostOptions {
  readonly clusterId: number;
  readonly storeId: number;
  readonly incarnation: number;
  readonly bootNonce: Uint8Array;
  readonly featureLevel: number;
  readonly log: RaftLog;
  readonly disk: Disk;
  /** Staging place of incoming and outgoing snapshots. */
  readonly snapshotDirectory: string;
  readonly net: Net;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly logger: Logger;
  readonly limits?: Partial<HostLimits>;
  /** Present address (`host:port`) of a store's raft port, undefined if unknown. Asked at every (re)connect. */
  resolveStore(storeId: number): string | undefined;
  /** Called once per turn after all groups have applied: the place to start one engine batch and to send replies. */
  onTurnApplied?(): void;
  /** May create the group (synchronously; the message is then delivered). */
  onUnknownPeer?(message: UnknownPeerMessage): void;
  describeGroup?(groupId: number): GroupDescription | undefined;
  /** A failure that must stop the process (the log failed, an invariant broke). */
  onFatal(error: RheaError): void;
  /** Hears what consensus does; for the simulator. Whatever it throws is fatal. */
  readonly observer?: RaftObserver;
  /** Test builds only. */
  readonly testMutations?: { readonly commitOldTermByCounting?: boolean };
}

/** Figures of the host for heartbeats and metrics. */
export interface HostStats {
  readonly groups: number;
  readonly leaders: number;
  readonly turns: number;
  readonly messagesSent: number;
  readonly messagesReceived: number;
  readonly readIndexRounds: number;
  readonly sendingSnapshots: number;
  readonly receivingSnapshots: number;
  readonly applyingSnapshots: number;
}

/** Many groups, one log, one transport. */
export interface RaftHost {
  /** Registers raft and CliService methods on a server that the owner listens with. */
  addServices(server: RpcServer): void;
  start(): void;
  /**
   * Creates and starts a group; writes its `created` record if the log has none. Usable at once; its first messages leave after the
   * record is durable; an interrupted snapshot install is finished first. `start`: the position after which the log begins. Default: (1, 1)
   * for a group's first peers (voters are given and the state machine saves snapshots), so that later peers, which begin at (0, 0), get a
   * snapshot with data and members. Applied index 0 stands for 1 then.
   * @throws RheaError CORRUPTION for a condemned peer or an applied index that the log does not reach; ALREADY_EXISTS when the group runs
   * or has another peer here; OPERATION_REFUSED for a peer id at or below a destroyed one.
   */
  createGroup(options: GroupOptions, start?: { readonly index: number; readonly term: number }): RaftNode;
  group(groupId: number): RaftNode | undefined;
  groups(): Iterable<RaftNode>;
  /** Stops a group and writes its tombstone; resolves when that is durable. The embedder then clears its data. */
  destroyGroup(groupId: number, proof: { readonly confVer: number; readonly version: number }): Promise<void>;
  /** Hands all leaderships to other voters where possible; resolves when none is left or after `timeoutMs`. */
  transferAllLeaders(timeoutMs: number): Promise<void>;
  stats(): HostStats;
  /** Stops timers, streams and groups. The log is closed by its owner. */
  close(): Promise<void>;
}
