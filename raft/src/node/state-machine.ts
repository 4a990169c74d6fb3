/** What an embedder writes: proposals, and the state machine that applies them. */
import type { RheaError } from "@rhea/common";
import type { ConfState, EntryType, PeerId } from "../core/types.js";
import type { SavedSnapshot, SnapshotFiles, SnapshotWriter } from "../snapshot/api.js";
import type { PeerInfo } from "./peer-info.js";

/** A user's proposal. */
export interface Task {
  /** What is replicated; must not be changed afterwards. */
  readonly data: Uint8Array;
  /** Travels in memory to `onApply` on the proposer, and to `onDropped` if the entry is lost. */
  readonly context?: unknown;
  /**
   * Called on the proposer when the entry is committed, before `onApply` gets it. Must not throw or wait: what it throws is logged and
   * changes nothing.
   */
  readonly onCommitted?: (index: number, term: number) => void;
  /**
   * What to do when the proposals of the group or of the process are at their bounds. `reject`, the default: SERVER_BUSY at once. `wait`:
   * behind those that wait already, until there is room; SERVER_BUSY reaches `onDropped` at the deadline, and `apply` throws it where too
   * many wait.
   */
  readonly onBusy?: "reject" | "wait";
  /** How long `wait` waits; ms, default one election timeout (limits.electionTicks x tickMs). */
  readonly deadlineMs?: number;
  /** Refuse if the group's term is another one by now. */
  readonly expectedTerm?: number;
}

/** An entry handed to the state machine. */
export interface CommittedEntry {
  /** Its place in the log. */
  readonly index: number;
  /** Term of the leader that made it. */
  readonly term: number;
  /** Empty for the entry with which a leader begins its term: skip it, but count the index. */
  readonly data: Uint8Array;
  /** What the proposer gave with it, if it was proposed here by this process. */
  readonly context: unknown;
}

/** A committed membership change, before it takes effect. */
export interface CommittedConfChange {
  /** Its place in the log. */
  readonly index: number;
  /** Term of the leader that made it. */
  readonly term: number;
  /** How it was encoded. */
  readonly type: Exclude<EntryType, "normal">;
  /** What changes, with the stores from the change's context. */
  readonly changes: readonly { readonly action: "addVoter" | "addLearner" | "remove"; readonly peer: PeerInfo }[];
  /** True for the automatic end of a joint configuration (no changes). */
  readonly isLeavingJoint: boolean;
  /** True for a configuration set by force (`resetPeers`): it takes effect whatever the state machine answers. */
  readonly isForced: boolean;
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
  /** Told that this peer was elected. What earlier terms committed may not be applied yet: call `readIndex` first. */
  onLeaderStart?(term: number): void;
  /** Told that this peer leads no more, and why. */
  onLeaderStop?(reason: string): void;
  /** This peer, no leader itself, follows this leader from now on, in this term. */
  onStartFollowing?(leader: PeerId, term: number): void;
  /** It stopped following; the term is the one it followed in. Comes before the next `onStartFollowing` or `onLeaderStart`. */
  onStopFollowing?(leader: PeerId, term: number, reason: string): void;
  /** The leader, as far as known, changed (0: none). */
  onLeaderChange?(leader: PeerId, term: number): void;
  /**
   * Writes a snapshot of the applied state into `directory`. State in memory has to be captured before the first `await`, as `onApply` goes
   * on meanwhile, and the answer is then `writer.saved()`; a state machine with durable storage of its own answers with what it saved,
   * which must reach at least its `durableIndex`. A rejection fails this one attempt only.
   */
  onSnapshotSave?(directory: string, writer: SnapshotWriter): Promise<SavedSnapshot>;
  /**
   * Replaces the whole state. Resolves when it is done, where the state machine has durable storage of its own also durably; called again
   * after a crash in between. With the `snapshots` option also called at every start. A rejection puts the group in `error`.
   */
  onSnapshotLoad?(files: SnapshotFiles, snapshot: SavedSnapshot): Promise<void>;
  /** The applied index up to which the state machine's own storage is durable: the log is needed only above it. */
  durableIndex?(): number;
  /** Told once why this peer went to `error`; it stays there until a restart. */
  onError?(error: RheaError): void;
  /** Told that the group stops here; nothing is called afterwards. */
  onShutdown?(): void;
}
