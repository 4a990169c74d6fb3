/** What the plan looks at: the platform's own records joined with PD's view. Plain values; who reads them off is the platform. */

/** The process of a store or of PD, as the platform sees it. Times are on the clock of `now`. */
export type ProcessState =
  /** Not running, and nothing is wrong with that: never started, or stopped on purpose. */
  | { readonly kind: "stopped" }
  | {
      readonly kind: "running";
      readonly sinceMs: number;
      /** In words, what of its settings differs from what is wanted now and takes a restart; absent if nothing does. */
      readonly outdated?: string;
      /** Since when it has been failing again and again; absent once a run has lasted. */
      readonly failingSinceMs?: number;
    }
  /** Asked to stop, not gone yet. */
  | { readonly kind: "stopping"; readonly sinceMs: number }
  | {
      readonly kind: "exited";
      /** Exit code; null if a signal ended it, or if it was not our child. */
      readonly code: number | null;
      readonly signal: string | null;
      readonly atMs: number;
      /** Ends in a row without a run that lasted; >= 1. */
      readonly failures: number;
      /** Since when it has been failing. */
      readonly failingSinceMs: number;
    };

/** A store as the platform keeps it: a name that is never used again, a process, a directory. */
export interface StoreRecord {
  readonly name: string;
  readonly ordinal: number;
  /** Whether it has ever served: from then on an empty directory is a lost disk. */
  readonly initialised: boolean;
  /** Whether the operator (and not a user) asked PD to drain it. */
  readonly drainedByOperator: boolean;
  readonly process: ProcessState;
  readonly directory: "present" | "missing";
}

/** PD's process. */
export interface PdRecord {
  readonly name: string;
  /** Whether it has ever answered. */
  readonly initialised: boolean;
  readonly process: ProcessState;
  readonly directory: "present" | "missing";
}

/** A store as PD knows it. */
export interface PdStore {
  readonly storeId: number;
  readonly name: string;
  readonly state: "up" | "disconnected" | "down" | "draining" | "tombstone";
  readonly heartbeatMsAgo: number;
  /** Peers on it, by PD's map. */
  readonly regionCount: number;
  readonly leaderCount: number;
  readonly pendingPeerCount: number;
  /** 0..1; 1 when no region is left. */
  readonly drainedRatio: number;
  /** Why its drain makes no progress; empty if it does. */
  readonly drainBlocked: string;
  readonly diskLost: boolean;
  readonly usedBytes: number;
}

/** A region as PD knows it. */
export interface PdRegion {
  readonly regionId: number;
  readonly peers: readonly { readonly peerId: number; readonly storeId: number; readonly isVoter: boolean }[];
  readonly downPeerIds: readonly number[];
  readonly reportedMsAgo: number;
  readonly hasQuorum: boolean;
  /** The wanted number of voters, none down or pending, no learner left over. */
  readonly isFullyReplicated: boolean;
}

/** An operation that PD runs or has run. */
export interface PdOperation {
  readonly operationId: number;
  readonly regionId: number;
  readonly kind: string;
  readonly origin: string;
  readonly isRunning: boolean;
  readonly succeeded: boolean;
  readonly finishedMsAgo: number;
}

/** PD's settings that the operator owns. */
export interface PdConfig {
  readonly replicas: number;
  readonly repair: string;
  readonly regionMaxBytes: number;
  readonly regionMaxKeys: number;
  readonly operationLimit: number;
}

/** One complete answer of PD. */
export interface PdView {
  /** Age of the answer in ms. */
  readonly ageMs: number;
  readonly isBootstrapped: boolean;
  readonly config: PdConfig;
  /** All stores, tombstones too. */
  readonly stores: readonly PdStore[];
  readonly regions: readonly PdRegion[];
  /** Running and recently finished operations. */
  readonly operations: readonly PdOperation[];
}

/** Everything that {@link plan} looks at. */
export interface Observed {
  readonly pd: PdRecord;
  readonly stores: readonly StoreRecord[];
  /** Lower bound of the ordinal of the next store. Ordinals are never used again. */
  readonly nextOrdinal: number;
  /** Absent when PD has not answered since the operator started. */
  readonly view: PdView | undefined;
}
