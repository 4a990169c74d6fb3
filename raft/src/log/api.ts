/** The log's border: what the host writes and reads. `open-log.ts` implements it. */
import type { Clock, Disk, Logger, RheaError } from "@rhea/common";
import type { ConfState, Entry, HardState } from "../core/types.js";

/** How to open a process's log. */
export interface LogOptions {
  /** Where the segments are. */
  readonly disk: Disk;
  /** The directory of the segments; made if absent. */
  readonly directory: string;
  /** For the figures of {@link LogStats}. */
  readonly clock: Clock;
  /** Hears what was repaired or cut while opening. */
  readonly logger: Logger;
  /** Size at which a new segment is begun. Bytes; default 64 MiB. */
  readonly segmentBytes?: number;
  /** Bytes of recent entries kept in memory over all groups; default 64 MiB. */
  readonly cacheBytes?: number;
  /** Written into the segments of this process; default 0. See {@link RaftLog.newestIncarnation}. */
  readonly incarnation?: number;
  /** Told while the log is opened, before each segment file is read. */
  readonly onRecovering?: (segment: number, segments: number) => void;
  /**
   * Whether an append waits for fdatasync before it resolves; default true. False trades safety for speed: a process that dies loses nothing, but a
   * machine that dies loses what its system had not written yet (votes too, so a peer may vote twice in a term). Said with a warning at open
   * and in {@link LogStats.isSync}. A segment is still synced when the next is begun, and everything at a close.
   */
  readonly sync?: boolean;
  /** Called once, at the first failed write or fsync; the owner must stop the process. The log refuses everything after it. */
  readonly onFailed: (error: RheaError) => void;
}

/** One thing to remember about one group. */
export type LogRecord =
  /** A group exists here from now on; its log starts after `index`, whose term is `term` (0, 0 for an empty first group). */
  | {
      readonly kind: "created";
      readonly groupId: number;
      readonly peerId: number;
      readonly index: number;
      readonly term: number;
    }
  /** Entries; they replace everything at and after the first one's index. Contiguous, first index <= lastIndex + 1. */
  | { readonly kind: "entries"; readonly groupId: number; readonly entries: readonly Entry[] }
  | { readonly kind: "hardState"; readonly groupId: number; readonly hardState: HardState }
  /** Everything up to and including `index` is not needed any more. */
  | { readonly kind: "truncate"; readonly groupId: number; readonly index: number; readonly term: number }
  /** The staged snapshot at `file` is this group's state from now on (the commit point): the log restarts after `index`. */
  | {
      readonly kind: "install";
      readonly groupId: number;
      readonly file: string;
      readonly index: number;
      readonly term: number;
      readonly confState: ConfState;
    }
  /** The pending install is finished; the staging file may go. */
  | { readonly kind: "installed"; readonly groupId: number }
  /** The peer is gone for good. No group with an equal or lower peer id may be created again. */
  | {
      readonly kind: "destroyed";
      readonly groupId: number;
      readonly peerId: number;
      readonly confVer: number;
      readonly version: number;
    }
  /** The peer may not start: its log is damaged. Stays until a `destroyed`. */
  | { readonly kind: "condemned"; readonly groupId: number; readonly reason: string };

/** Where a group is in its life. */
export type GroupLifecycle =
  | { readonly state: "live"; readonly peerId: number }
  | { readonly state: "destroyed"; readonly peerId: number; readonly confVer: number; readonly version: number }
  /** Must not start or vote. `reason` names file and offset. */
  | { readonly state: "condemned"; readonly peerId: number; readonly reason: string };

/** A snapshot install that was committed and not yet finished. */
export interface PendingInstall {
  /** Name of the staged snapshot. */
  readonly file: string;
  /** The last index that it holds. */
  readonly index: number;
  /** Term of that entry. */
  readonly term: number;
  /** The configuration at that index. */
  readonly confState: ConfState;
}

/** One group's part of the log; reads are synchronous and see every append made so far, durable or not. */
export interface GroupLog {
  /** The group. */
  readonly groupId: number;
  /** Where it is in its life. */
  readonly lifecycle: GroupLifecycle;
  /** As of the newest append. */
  readonly hardState: HardState;
  /** A snapshot install that is to be finished first. */
  readonly pendingInstall: PendingInstall | undefined;
  /** Index and term of the entry before the first: the truncation point. */
  readonly truncatedIndex: number;
  /** Term of the entry at `truncatedIndex`. */
  readonly truncatedTerm: number;
  /** Invariant: lastIndex >= truncatedIndex. */
  readonly lastIndex: number;
  /** Bytes of this group's live entries. */
  readonly liveBytes: number;
  /** Term of an index in [truncatedIndex, lastIndex]; throws the core's storage errors outside. */
  term(index: number): number;
  /** Entries [lo, hi), at least one, else up to `maxBytes` of data; from the cache or, blocking, from the file. */
  entries(lo: number, hi: number, maxBytes: number): Entry[];
}

/** Figures for metrics and status. */
export interface LogStats {
  /** Segment files. */
  readonly segments: number;
  /** Bytes of all segment files. */
  readonly fileBytes: number;
  /** Bytes of the records of live entries. */
  readonly liveBytes: number;
  /** Bytes of frames that are no live entries: what removing and rewriting segments wins back. */
  readonly deadBytes: number;
  /** Frames written since the log was opened. */
  readonly appends: number;
  /** Calls of fdatasync since then. */
  readonly syncs: number;
  /** Seconds spent in fdatasync, summed. */
  readonly syncSeconds: number;
  /** Age in ms of the oldest append that is not durable yet; 0 if none. */
  readonly oldestPendingMs: number;
  /** Old segments removed since the log was opened. */
  readonly removedSegments: number;
  /** Bytes of live entries moved out of old segments since the log was opened. */
  readonly rewrittenBytes: number;
  /** Whether appends are durable when they resolve: {@link LogOptions.sync}. */
  readonly isSync: boolean;
}

/** One append-only log for all groups of a process. */
export interface RaftLog {
  /** Whether the process that wrote it closed it in order; true for a new log. */
  readonly wasClosedCleanly: boolean;
  /** Highest {@link LogOptions.incarnation} of an earlier process that wrote a frame; 0 if none did or is remembered. */
  readonly newestIncarnation: number;
  /** All groups ever recorded and still remembered: live, destroyed, condemned. */
  groups(): Iterable<GroupLog>;
  /** Returns what is remembered of a group, undefined if nothing is. */
  group(groupId: number): GroupLog | undefined;
  /**
   * Writes records of any groups as one frame (split where over 1 MiB) and resolves when they are durable (with `sync: false`: written). Visible to
   * reads at once. Calls may overlap; at most two frames are in flight, later calls are gathered; promises resolve in call order.
   * Rejects with DISK_FAILED once the log has failed.
   */
  append(records: readonly LogRecord[]): Promise<void>;
  /** Returns the present figures. */
  stats(): LogStats;
  /** Finishes what is in flight, writes the clean-close record, closes the files. */
  close(): Promise<void>;
}
