/** What the plan looks at: the platform's own records joined with PD's view. Plain values; who reads them off is the platform. */

/** The process of a store or of a PD member, as the platform sees it. Times are on the clock of `now`. */
export type ProcessState =
  /** Not running, and nothing is wrong with that: never started, or stopped on purpose. On Kubernetes: no pod. */
  | { readonly kind: "stopped" }
  /** It exists and has not begun to run. `why` is one sentence that ends in what to do about it; it has no running times in it. */
  | {
      readonly kind: "pending";
      readonly sinceMs: number;
      readonly cause: "unschedulable" | "image" | "volume" | "config" | "starting";
      readonly why: string;
      readonly outdated?: string;
    }
  | {
      readonly kind: "running";
      readonly sinceMs: number;
      /** In words, what of its settings differs from what is wanted now and takes a restart; absent if nothing does. */
      readonly outdated?: string;
      /** Since when it has been failing again and again; absent once a run has lasted. */
      readonly failingSinceMs?: number;
      /** What its own readiness check says; absent where there is none. */
      readonly isReady?: boolean;
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
      /** As for a running process: what it would be started with differs from what is wanted. */
      readonly outdated?: string;
      /** The platform itself starts it again (a kubelet): the plan only replaces it where its settings are outdated. Default false. */
      readonly restartsByItself?: boolean;
    };

/** A machine that processes run on. */
export interface Host {
  readonly name: string;
  /** `gone`: it does not exist any more. */
  readonly state: "ready" | "notReady" | "gone";
  /** Since when it is in this state, where that is known. Without it a PD member there is never taken for dead. */
  readonly sinceMs?: number;
  /** Closed for new processes; those on it are about to be moved away. */
  readonly isCordoned: boolean;
  readonly labels: Readonly<Record<string, string>>;
}

/** A store or a PD member as the platform keeps it: a name that is never used again, a process, a directory. */
export interface MemberRecord {
  readonly name: string;
  readonly ordinal: number;
  /** Whether it has ever served: from then on an empty directory is a lost disk. */
  readonly initialised: boolean;
  readonly process: ProcessState;
  /** Its disk. `terminating`: it is there until the process ends, and then never again. */
  readonly directory: "present" | "missing" | "terminating";
  /** Where it runs, or, without a running process, where its volume is tied to. Absent where neither is known, or where there is only one machine. */
  readonly host?: Host;
  /** What it runs: the full reference of the image. */
  readonly image?: string;
  /** The image's tag. */
  readonly version?: string;
}

/** A store as the platform keeps it. */
export interface StoreRecord extends MemberRecord {
  /** Whether the operator (and not somebody else through PD) asked PD to drain it, for whatever reason. */
  readonly drainedByOperator: boolean;
  /** The user wants it emptied and replaced by another one. */
  readonly wantsDrain: boolean;
  /** The user wants it to be the first to go at a scale-in. */
  readonly removeFirst: boolean;
}

/** A PD member as the platform keeps it. */
export type PdRecord = MemberRecord;

/** A store as PD knows it. */
export interface PdStore {
  readonly storeId: number;
  readonly name: string;
  readonly state: "up" | "disconnected" | "down" | "draining" | "tombstone";
  /** Since PD's present leader began, for a store that it has not heard yet. */
  readonly heartbeatMsAgo: number;
  /** PD's present leader hears it: a new leader knows of a silent store only when that has been silent for long. */
  readonly isConnected: boolean;
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
  /** What is left of the lease by which leaders are kept off it; 0 if there is none. */
  readonly evictLeadersMsLeft: number;
  /** Who asked for the drain: operator or user; empty if it does not drain. */
  readonly drainOrigin: string;
  /** Where it stands, as PD places replicas by: zone, rack, host. */
  readonly labels: Readonly<Record<string, string>>;
}

/** A member of PD as its leader knows it. */
export interface PdMember {
  readonly memberId: number;
  /** As in {@link PdRecord}. */
  readonly name: string;
  readonly isLeader: boolean;
  readonly isVoter: boolean;
  /** The leader has heard of it within seconds. */
  readonly isHealthy: boolean;
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
  /** The store that loses a peer by it; 0 if none does. */
  readonly fromStoreId: number;
}

/** PD's settings that the operator owns. */
export interface PdConfig {
  readonly replicas: number;
  readonly repair: string;
  readonly regionMaxBytes: number;
  readonly regionMaxKeys: number;
  readonly operationLimit: number;
  /** Of all processes; empty: each has its own. */
  readonly logLevel: string;
}

/** One complete answer of PD. */
export interface PdView {
  /** Age of the answer in ms. */
  readonly ageMs: number;
  readonly isBootstrapped: boolean;
  /** PD's members; removed ones are not among them. */
  readonly members: readonly PdMember[];
  readonly config: PdConfig;
  /** All stores, tombstones too. */
  readonly stores: readonly PdStore[];
  readonly regions: readonly PdRegion[];
  /** Running and recently finished operations. */
  readonly operations: readonly PdOperation[];
}

/** What is kept of autoscaling between two looks. Times are on the clock of `now`. */
export interface AutoscaleMemory {
  /** Since when fewer stores would do, without a break. */
  readonly lowSinceMs?: number;
  /** When the number of stores was changed last. */
  readonly lastScaleMs?: number;
  /** The number of stores wanted at the last look. Absent: the stores there are count. */
  readonly wanted?: number;
}

/** Everything that {@link plan} looks at. */
export interface Observed {
  readonly pds: readonly PdRecord[];
  readonly stores: readonly StoreRecord[];
  /** Lower bound of the ordinal of the next store. Ordinals are never used again. */
  readonly nextOrdinal: number;
  /** The same for PD members. */
  readonly nextPdOrdinal: number;
  /** Absent when PD has not answered since the operator started. */
  readonly view: PdView | undefined;
  /** What kept PD from answering when it was asked last, as `CODE: message`; the same text while the same keeps it. Absent while it answers. */
  readonly pdError?: string;
  /** What {@link Plan.autoscale} said at the last look. */
  readonly autoscale?: AutoscaleMemory;
  /** Unix time of this look in ms, for times that users wrote; everything else is on the clock of `now`. */
  readonly wallMs: number;
}
