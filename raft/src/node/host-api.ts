/** The host of many groups as its owner sees it: what it needs, its limits, its figures. */
import type { Clock, Disk, Logger, Net, RheaError, Rng, RpcServer, Scheduler } from "@rhea/common";
import type { Entry, HardState, PeerId } from "../core/types.js";
import type { RaftLog } from "../log/api.js";
import type { GroupOptions, RaftNode } from "./node-api.js";
import type { GroupDescription, PeerInfo, UnknownPeerMessage } from "./peer-info.js";

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
  /** Bytes of proposals waiting per group; default 64 MiB. One alone may be larger. Over it SERVER_BUSY. */
  readonly maxProposalBytes: number;
  /** Proposals waiting over all groups; default 131,072. Over it SERVER_BUSY. */
  readonly maxPendingProposalsPerProcess: number;
  /** Bytes of proposals waiting over all groups; default 256 MiB. Over it SERVER_BUSY. */
  readonly maxProposalBytesPerProcess: number;
  /** Entries kept behind the slowest live follower at most; default 100,000. */
  readonly maxLogEntries: number;
  /** Bytes of one group's log kept for a slow follower at most; default 64 MiB. */
  readonly maxLogBytes: number;
  /** Snapshots at once, each way; default 4. */
  readonly maxSnapshots: number;
  /** Bytes per second over all snapshots that are being sent; default 1 GiB. */
  readonly maxSnapshotBytesPerSecond: number;
  /** Snapshots saved at once by groups with the `snapshots` option; default 2. */
  readonly maxSnapshotSaves: number;
}

/** How replication to a peer goes. */
export type ReplicatorState = "created" | "online" | "offline" | "error" | "destroyed";

/** Replication from a leader here to one of its peers changed its state. */
export interface ReplicatorChange {
  /** The group. */
  readonly groupId: number;
  /** The peer that is replicated to. */
  readonly peer: PeerInfo;
  /**
   * `created`: this peer began to lead, or that one became a member. `online`: it was heard of, within an election timeout. `offline`: it was
   * not. `error`: a message or snapshot to it was lost; `online` follows when it is heard of again. `destroyed`: it is no member any more, or
   * this peer leads no more. `online` and `offline` are noticed within a second.
   */
  readonly state: ReplicatorState;
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
  /** Processes of different clusters refuse each other. */
  readonly clusterId: number;
  /** This process's id, as {@link PeerInfo.storeId} names it. */
  readonly storeId: number;
  /** How often this process has started; must rise at every start and be durable before. */
  readonly incarnation: number;
  /** 16 random bytes of this start: two boots of one incarnation are told apart. */
  readonly bootNonce: Uint8Array;
  /** What this build can do, for others to know. */
  readonly featureLevel: number;
  /** The opened log. Its owner closes it, after the host. */
  readonly log: RaftLog;
  /** Where snapshots are staged. */
  readonly disk: Disk;
  /** Staging place of incoming and outgoing snapshots. */
  readonly snapshotDirectory: string;
  /** The way to other processes. */
  readonly net: Net;
  /** Time. */
  readonly clock: Clock;
  /** Timers and the turn. */
  readonly scheduler: Scheduler;
  /** Randomness: election timeouts, read contexts. */
  readonly rng: Rng;
  /** Hears of elections, refusals and failures. */
  readonly logger: Logger;
  /** Times and bounds. */
  readonly limits?: Partial<HostLimits>;
  /**
   * Present address (`host:port`) of a store's raft port, undefined if unknown. Asked at every (re)connect. Where it is absent or does not know,
   * the addresses count that members of a group were added with, then what the store itself said when it dialled in.
   */
  resolveStore?(storeId: number): string | undefined;
  /** `host:port` at which others reach this process: said to them, for those that have no other way to know it. Default: not said. */
  readonly address?: string;
  /**
   * How reads are confirmed; default "safe": by a round of heartbeats. "leaseBased": a leader that a quorum has answered within an election
   * timeout answers by itself. That counts on clocks that run equally fast, within a tenth; where this process stood still or did not keep
   * up, or its disk does not answer, it asks a quorum. The same in all processes of a cluster.
   */
  readonly readOnly?: "safe" | "leaseBased";
  /** Called once per turn after all groups have applied: the place to start one engine batch and to send replies. */
  onTurnApplied?(): void;
  /** May create the group (synchronously; the message is then delivered). */
  onUnknownPeer?(message: UnknownPeerMessage): void;
  /**
   * A message for a peer of a group whose older peer still runs here: its sender knows a configuration in which a newer one has this store.
   * It may come with every heartbeat. Once the older peer is known to be removed, destroy it: the next message makes the newer one.
   */
  onNewerPeer?(message: UnknownPeerMessage): void;
  /** Told when a group's configuration in effect no longer has this process's peer: it serves nobody any more, and may be destroyed. */
  onRemoved?(groupId: number): void;
  /** Epoch and range of a group for its initial messages; default: none. */
  describeGroup?(groupId: number): GroupDescription | undefined;
  /** A failure that must stop the process (the log failed, an invariant broke). */
  onFatal(error: RheaError): void;
  /** Told of replication from leaders here to their peers, after the turn's records were collected. Must not throw. */
  onReplicatorStateChange?(change: ReplicatorChange): void;
  /** Hears what consensus does; for the simulator. Whatever it throws is fatal. */
  readonly observer?: RaftObserver;
}

/** A way to another store. */
export interface LinkStats {
  /** The store at the other end. */
  readonly storeId: number;
  /** Idle: dials with the next message. Waiting: rests after a failure. */
  readonly state: "idle" | "connecting" | "open" | "waiting" | "closed";
  /** Messages that have not left, heartbeats apart. */
  readonly queuedMessages: number;
  /** Their bytes, and those given to the connection. */
  readonly queuedBytes: number;
  /** Attempts in a row that failed. */
  readonly failures: number;
}

/** Figures of the host for heartbeats and metrics. */
export interface HostStats {
  /** Groups with a peer in this process. */
  readonly groups: number;
  /** Those that this process leads. */
  readonly leaders: number;
  /** Turns since the start. */
  readonly turns: number;
  /** Raft messages sent, heartbeats apart. */
  readonly messagesSent: number;
  /** Raft messages received, heartbeats apart. */
  readonly messagesReceived: number;
  /** Rounds that confirmed reads. */
  readonly readIndexRounds: number;
  /** Snapshots on their way out. */
  readonly sendingSnapshots: number;
  /** Snapshots coming in. */
  readonly receivingSnapshots: number;
  /** Snapshots being loaded by state machines. */
  readonly applyingSnapshots: number;
  /** Groups that rest: without ticks and heartbeats of their own, as nothing happens in them. */
  readonly quietGroups: number;
  /** The log has not answered for an election timeout: leaders hold their heartbeats back and give up. */
  readonly isDiskStalled: boolean;
  /** One for each store that was spoken to. */
  readonly links: readonly LinkStats[];
}

/** Many groups, one log, one transport. */
export interface RaftHost {
  /** Registers raft's and, unless `cli` is false, CliService's methods on a server that the owner listens with. */
  addServices(server: RpcServer, options?: { readonly cli?: boolean }): void;
  /** Starts time, turns and connections. */
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
  /** Returns a group's peer in this process, undefined if there is none. */
  group(groupId: number): RaftNode | undefined;
  /** Returns all peers of this process. */
  groups(): Iterable<RaftNode>;
  /** Stops a group and writes its tombstone; resolves when that is durable. The embedder then clears its data. */
  destroyGroup(groupId: number, proof: { readonly confVer: number; readonly version: number }): Promise<void>;
  /** Hands all leaderships to other voters where possible; resolves when none is left or after `timeoutMs`. */
  transferAllLeaders(timeoutMs: number): Promise<void>;
  /** Returns the present figures. */
  stats(): HostStats;
  /** Returns a dump to read: identity, figures, links, log, a line for each group (500 at most, those with a problem first). */
  describe(): string;
  /** Stops timers, streams and groups. The log is closed by its owner. */
  close(): Promise<void>;
}
