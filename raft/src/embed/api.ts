/** The border of an embedded server: one process of a few raft groups, as an application starts it. */
import type { Clock, Disk, Logger, Net, RheaError, Rng, RpcServer, Scheduler } from "@rhea/common";
import type { LogStats } from "../log/index.js";
import type {
  HostLimits,
  PeerInfo,
  RaftHost,
  RaftNode,
  ReplicatorChange,
  SnapshotOptions,
  StateMachine,
} from "../node/api.js";

/** What an embedded server takes from its platform; `startRaftServer` of `@rhea/raft/env-node` gives Node's. */
export interface RaftServerEnvironment {
  /** Time. */
  readonly clock: Clock;
  /** Timers and the turn. */
  readonly scheduler: Scheduler;
  /** Randomness: election timeouts, the process's uuid. */
  readonly rng: Rng;
  /** Where the log and the snapshots are. */
  readonly disk: Disk;
  /** The way to other processes. */
  readonly net: Net;
  /** Hears of elections, refusals and failures. */
  readonly logger: Logger;
}

/** One group that the process serves. */
export interface RaftServerGroup {
  /** The group's number, the same in all its processes. A whole number above 0. */
  readonly groupId: number;
  /** What the group replicates: an own instance for every group and process. It begins empty at every start. */
  readonly stateMachine: StateMachine;
  /** Its first members, if they are not the server's {@link RaftServerOptions.peers}. */
  readonly peers?: string | readonly PeerInfo[];
  /**
   * When snapshots are saved and how many are kept. Default: hourly, and after 100,000 entries or 64 MiB; `false`: never, the log is kept whole
   * and no member can join later. They need a state machine with `onSnapshotSave` and `onSnapshotLoad`; without those there are none.
   */
  readonly snapshots?: Omit<SnapshotOptions, "storage"> | false;
  /** This peer's election priority, if it is not said in `peers`: -1 (default) not judged, 0 never a leader, else the higher the sooner. */
  readonly priority?: number;
  /** Told once this process's peer was removed from the group and its data here are cleared. It can be added again, under a new peer id. */
  onRemoved?(): void;
}

/** How to start a server. */
export interface RaftServerOptions {
  /** The directory of this process alone; made if absent. What it holds decides whether the process starts anew or goes on. */
  readonly dataDirectory: string;
  /** Where the log is, for a disk of its own. Default: `log` in the data directory. */
  readonly logDirectory?: string;
  /** `host:port` under which the other processes reach this one. It is the process's name: it stays the same as long as the directory. */
  readonly address: string;
  /** `host:port` to listen on. Default: {@link RaftServerOptions.address}. */
  readonly listen?: string;
  /**
   * The first members, `"a:7411,b:7411,c:7411/learner"` or what `parseConfiguration` gives: the same text in each of their processes. Looked at
   * only by groups that are new in an empty directory; later the groups themselves know who is in them.
   */
  readonly peers?: string | readonly PeerInfo[];
  /**
   * True in a process that is added to running groups (`addPeer`, `addLearners`): new groups wait here until their leader calls, and `peers` is
   * not looked at. A process that lost its directory starts so too, after its old peer was removed. Default false.
   */
  readonly join?: boolean;
  /** The groups served here. */
  readonly groups: readonly RaftServerGroup[];
  /** Processes of different clusters refuse each other. Default 1. */
  readonly clusterId?: number;
  /** Times and bounds; see {@link HostLimits} for the defaults. */
  readonly limits?: Partial<HostLimits>;
  /** How reads are confirmed: by a round to a quorum (`safe`, default), or by the leader's lease, which trusts clocks. */
  readonly readOnly?: "safe" | "leaseBased";
  /** True: nobody administers this process's groups from outside (CliService); its own nodes still can. Default false. */
  readonly disableCli?: boolean;
  /** False: the log is not synchronised, and a power cut loses acknowledged entries. A warning at start. Default true. */
  readonly sync?: boolean;
  /** Bytes of a log segment; default 64 MiB. */
  readonly segmentBytes?: number;
  /** Bytes of recent entries kept in memory over all groups; default 64 MiB. */
  readonly cacheBytes?: number;
  /** Adds the application's own methods to the server, on the same port; called once, before it listens. */
  addServices?(server: RpcServer, raft: RaftServer): void;
  /**
   * The application's own server instead of one made here: raft's methods are added to it, and the application listens and closes. It must
   * listen at `address`.
   */
  readonly server?: RpcServer;
  /** Told how replication from leaders in this process to each of their peers goes. Must not throw. */
  onReplicatorStateChange?(change: ReplicatorChange): void;
  /**
   * Called once, when the process must stop: its disk failed, its directory is gone, or an invariant broke. Nothing is served any more then;
   * end the process, with the exit code of the error's code. Default: the error is thrown where nobody catches it, which ends the process.
   */
  onFatal?(error: RheaError): void;
}

/** A server that runs. */
export interface RaftServer {
  /** The id that the address gives this process. */
  readonly storeId: number;
  /** `host:port` under which others reach it. */
  readonly address: string;
  /** The host of all its groups. */
  readonly host: RaftHost;
  /**
   * Returns a group's peer in this process.
   *
   * @throws RheaError REGION_NOT_FOUND while it has none (it waits to be added, or was removed), or what its start failed with, for instance
   * CORRUPTION for a peer whose log is damaged.
   */
  node(groupId: number): RaftNode;
  /** Returns the figures of its log; those of the rest are `host.stats()` and each node's. */
  logStats(): LogStats;
  /** Returns everything about its groups, its log and its connections as text for people. */
  describe(): string;
  /** Hands leaderships to others (up to two election timeouts), stops serving, makes everything durable, gives the directory free. */
  close(): Promise<void>;
}
