import { InvariantError } from "@rhea/common";
import type { Inflights } from "./inflights.js";
import type { PeerId, ProgressState, ProgressStatus } from "./types.js";

/**
 * Is what a leader knows about one peer. The leader probes (one append per heartbeat interval) until it knows where the logs
 * match, then streams entries without waiting, and does neither while a snapshot is on its way.
 */
export class Progress {
  readonly id: PeerId;
  readonly inflights: Inflights;
  state: ProgressState = "probe";
  /** Invariant: match < next. */
  match = 0;
  /** Invariant: entries of (match, next) are in flight, or have been. */
  next: number;
  /** Is the highest commit index sent; it tells whether another message could move the follower's commit index. */
  sentCommit = 0;
  /** Is the index of the snapshot on its way, while the state is "snapshot". */
  pendingSnapshot = 0;
  /** Says that the peer was heard of since the last quorum check; always true on the leader's own progress. */
  recentActive = false;
  /** Holds back appends: a probe is unanswered, or the inflight window is full. Heartbeat answers lift it. */
  flowPaused = false;
  isLearner: boolean;

  constructor(id: PeerId, next: number, inflights: Inflights, isLearner: boolean) {
    this.id = id;
    this.next = next;
    this.inflights = inflights;
    this.isLearner = isLearner;
  }

  /** Copies all but the inflight window, which the copy shares: of the two only one may live on. */
  clone(): Progress {
    const copy = new Progress(this.id, this.next, this.inflights, this.isLearner);
    copy.state = this.state;
    copy.match = this.match;
    copy.sentCommit = this.sentCommit;
    copy.pendingSnapshot = this.pendingSnapshot;
    copy.recentActive = this.recentActive;
    copy.flowPaused = this.flowPaused;
    return copy;
  }

  /** Forgets everything of an earlier term. */
  reset(next: number, match: number): void {
    this.#enter("probe");
    this.match = match;
    this.next = next;
    this.sentCommit = 0;
    this.recentActive = false;
  }

  /** Starts probing after the match point, or after the snapshot that was on its way. */
  becomeProbe(): void {
    const base = this.state === "snapshot" ? Math.max(this.match, this.pendingSnapshot) : this.match;
    this.#enter("probe");
    this.next = base + 1;
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
  }

  becomeReplicate(): void {
    this.#enter("replicate");
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.#enter("snapshot");
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.sentCommit = index;
  }

  /** Takes note of an append message with `count` entries of `bytes` payload that starts at `next`. */
  sentEntries(count: number, bytes: number): void {
    if (this.state === "replicate") {
      if (count > 0) {
        this.next += count;
        this.inflights.add(this.next - 1, bytes);
      }
      this.flowPaused = this.inflights.isFull;
    } else if (this.state === "probe") {
      if (count > 0) this.flowPaused = true;
    } else {
      throw new InvariantError(`peer ${this.id}: append sent while it waits for a snapshot`);
    }
  }

  /** Says whether telling the peer about this commit index could move its own, beyond what is already on its way. */
  canBumpCommit(commit: number): boolean {
    return commit > this.sentCommit && this.sentCommit < this.next - 1;
  }

  /** Takes an acknowledgement in; returns false when it says nothing new. */
  maybeUpdate(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.flowPaused = false;
    return true;
  }

  /** Takes a rejection of the append after `rejected` in, with the follower's hint; returns false when it is stale. */
  maybeDecreaseTo(rejected: number, matchHint: number): boolean {
    if (this.state === "replicate") {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
      this.sentCommit = Math.min(this.sentCommit, this.next - 1);
      return true;
    }
    // Outside of streaming only one append is in flight, so a genuine rejection names exactly that one.
    if (this.next - 1 !== rejected) return false;
    this.next = Math.max(Math.min(rejected, matchHint + 1), this.match + 1);
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
    this.flowPaused = false;
    return true;
  }

  get isPaused(): boolean {
    return this.state === "snapshot" || this.flowPaused;
  }

  /** Copies it out for status pages and events. */
  status(): ProgressStatus {
    return {
      state: this.state,
      match: this.match,
      next: this.next,
      recentActive: this.recentActive,
      isLearner: this.isLearner,
      paused: this.isPaused,
      pendingSnapshot: this.pendingSnapshot,
      inflightMsgs: this.inflights.count,
      inflightBytes: this.inflights.bytes,
      inflightFull: this.inflights.isFull,
    };
  }

  #enter(state: ProgressState): void {
    this.flowPaused = false;
    this.pendingSnapshot = 0;
    this.state = state;
    this.inflights.reset();
  }
}
