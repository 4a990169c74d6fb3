/** The host of many groups as its owner sees it: what it needs, its limits, its figures. */
import type { Clock, Disk, Logger, Net, RheaError, Rng, RpcServer, Scheduler } from "@rhea/common";
import type { Entry, HardState, PeerId } from "../core/types.js";
import type { RaftLog } from "../log/api.js";
import type { GroupOptions, RaftNode } from "./node-api.js";
import type { GroupDescription, UnknownPeerMessage } from "./peer-info.js";

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
