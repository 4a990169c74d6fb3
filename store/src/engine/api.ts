/** The store engine's border: what the store process, PD (for its metadata region) and the simulator use. */
import type { Clock, Disk, Logger, Net, RheaError, Rng, RpcServer, Scheduler } from "@rhea/common";
import type { CommandInit, CommandResult, ReadInit, ReadResult, StoreInit } from "@rhea/proto";
import type { HostLimits, LogStats, RaftHost, RaftObserver } from "@rhea/raft";
import type { RegionDescriptor } from "../format/descriptor.js";
import type { KvEngine } from "../kv/engine.js";

/** What the engine takes from outside. */
export interface StoreEnvironment {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly disk: Disk;
  readonly net: Net;
  readonly logger: Logger;
}

/** Limits of an engine; all optional in {@link StoreEngineOptions}. */
export interface StoreLimits {
  /** Bytes applied and not yet durable in the engine over which proposals get SERVER_BUSY; twice that pauses apply. Default 64 MiB. */
  readonly overlayBytes: number;
  /** Free bytes on the data or log volume below which writes other than deletes get DISK_FULL; default 256 MiB. */
  readonly reserveBytes: number;
  /** Rows of a scan page at most; default 10,000. */
  readonly scanRows: number;
  /** Bytes of a scan page at most (one row is always given); default 1 MiB. */
  readonly scanBytes: number;
  /** Bytes of commands in one raft entry at most (one command is always taken); default 1 MiB. */
  readonly entryBytes: number;
}

/** A region that exists from the first start on: the same on every store that lists it. */
export interface InitialRegion {
  readonly regionId: number;
  /** Empty: the start of the keyspace. */
  readonly startKey: Uint8Array;
  /** Empty: the end of the keyspace. */
  readonly endKey: Uint8Array;
  /** All voters, this store's among them. */
  readonly voters: readonly { readonly peerId: number; readonly storeId: number }[];
}

/** How to open an engine. */
export interface StoreEngineOptions {
  readonly env: StoreEnvironment;
  readonly clusterId: number;
  readonly storeId: number;
  /** From the identity file, already advanced for this start. */
  readonly incarnation: number;
  /** Newest incarnation that the log may have frames of: more means that log and data do not belong together (DISK_LOST). Default: any. */
  readonly newestLogIncarnation?: number;
  /** Random per start; 16 bytes. */
  readonly bootNonce: Uint8Array;
  /** Open; the caller closes it after the engine. */
  readonly kv: KvEngine;
  /** Directory of the write-ahead log's segments. */
  readonly logDirectory: string;
  /** Staging place of snapshots. */
  readonly snapshotDirectory: string;
  /** Created where this store has never had a region or tombstone of that id; ignored otherwise. */
  readonly initialRegions?: readonly InitialRegion[];
  readonly limits?: Partial<StoreLimits>;
  readonly raft?: Partial<HostLimits>;
  /** `host:port` of a store's raft port. Asked at every (re)connect. */
  resolveStore(storeId: number): string | undefined;
  /** All stores of the cluster as far as known, for clients that ask this store for routes. Default: none. */
  readonly storeBook?: () => readonly StoreInit[];
  /** Told when this store's peer of a region becomes leader (in `term`) or ceases to be. */
  readonly onRegionLeadership?: (regionId: number, isLeader: boolean, term: number) => void;
  /** Told after a region was created, split, changed members or leader, or went away: a reason to report to PD. */
  readonly onRegionChanged?: (regionId: number) => void;
  /** Told while the log is recovered: which of its segments is read. */
  readonly onRecovering?: (segment: number, segments: number) => void;
  /** The process must stop: a disk failed or an invariant broke. Called once. */
  readonly onFatal: (error: RheaError) => void;
  /** Hears what consensus does; for the simulator. */
  readonly observer?: RaftObserver;
}

/** Where a region's peer stands. */
export type RegionState =
  /** Serves. */
  | "live"
  /** Was created by a leader's message and waits for its snapshot; its range is only claimed. */
  | "awaiting"
  /** Cannot go on; PD replaces it. */
  | "error"
  /** Its member was removed; its data are being cleared. */
  | "destroyed";

/** A row of a local scan. */
export interface LocalRow {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** One region's peer on this store. */
export interface RegionHandle {
  readonly regionId: number;
  readonly peerId: number;
  readonly state: RegionState;
  readonly descriptor: RegionDescriptor;
  readonly isLeader: boolean;
  readonly term: number;
  /** The leader as far as known. */
  readonly leader: { readonly peerId: number; readonly storeId: number } | undefined;
  /** Index of the newest entry applied here. */
  readonly appliedIndex: number;
  /**
   * Replicates one command through this peer, which must lead. The session fields may be absent: then a retry would apply twice.
   * Throws NOT_LEADER, SERVER_BUSY, KEY_NOT_IN_REGION and what the command itself can end with; `details.maybeApplied` tells an unknown outcome.
   */
  execute(command: CommandInit): Promise<CommandResult>;
  /** Reads linearizably (also on followers), or at once with `stale`. Throws LEADER_NOT_AVAILABLE, KEY_NOT_IN_REGION, INVALID_ARGUMENT. */
  read(read: ReadInit): Promise<ReadResult>;
  /** Reads what is applied here, without asking the leader. Never use it for an answer that must be fresh. */
  getLocal(key: Uint8Array): Buffer | undefined;
  /** Like {@link RegionHandle.getLocal} for up to `limit` rows of [start, end); an empty `end` is the region's end. */
  scanLocal(start: Uint8Array, end: Uint8Array, limit: number): Promise<LocalRow[]>;
  addPeer(peer: {
    readonly peerId: number;
    readonly storeId: number;
    readonly role: "voter" | "learner";
  }): Promise<void>;
  removePeer(peerId: number): Promise<void>;
  transferLeadershipTo(peerId: number): Promise<void>;
  /** Splits at `splitKey`, in (start, end). One child peer id per peer, in the descriptor's order. Throws EPOCH_NOT_MATCH, OPERATION_REFUSED. */
  split(splitKey: Uint8Array, childRegionId: number, childPeerIds: readonly number[]): Promise<void>;
}

/** Peers of this store that do not run, and why. */
export interface RegionFault {
  readonly regionId: number;
  readonly peerId: number;
  readonly error: RheaError;
}

/** A store's regions on one log, one raft host and one key-value engine. */
export interface StoreEngine {
  readonly storeId: number;
  readonly host: RaftHost;
  /** All peers of this store that are live or awaiting their snapshot, by start key. */
  regions(): RegionHandle[];
  region(regionId: number): RegionHandle | undefined;
  faults(): RegionFault[];
  /** Whether this store's newest peer of the region left it, or lost the bootstrap: its tombstone is in the log. */
  wasDestroyed(regionId: number): boolean;
  /** Registers the raft, Cli and Kv services on the server that the owner listens with. */
  addServices(server: RpcServer): void;
  /** Creates the first region of a cluster or an initial one; durable when resolved. Throws ALREADY_EXISTS. */
  createRegion(region: InitialRegion): Promise<RegionHandle>;
  /** Destroys this store's peer given PD's word: `proof` has a higher confVer and does not list the peer. False: not proven, nothing done. */
  destroyPeer(regionId: number, peerId: number, proof: RegionDescriptor): Promise<boolean>;
  /** Destroys a region that lost the bootstrap. */
  discardRegion(regionId: number): Promise<void>;
  logStats(): LogStats;
  /** Bytes applied and not yet durable in the engine. */
  readonly overlayBytes: number;
  /** Refuses new work, hands leaders away within `timeoutMs`, makes everything durable, stops. Does not close `kv`. */
  close(options?: { readonly transferTimeoutMs?: number }): Promise<void>;
}
