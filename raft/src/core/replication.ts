import { InvariantError } from "@rhea/common";
import { SnapshotTemporarilyUnavailableError } from "./errors.js";
import { payloadSize } from "./entry-size.js";
import { NO_ENTRIES } from "./message.js";
import { encodeReadSequence } from "./read-only.js";
import type { Lease } from "./lease.js";
import type { Progress } from "./progress.js";
import type { Raft } from "./raft.js";
import type { Entry, Snapshot } from "./types.js";

/** Sends an append to a peer unless its flow is paused: entries it lacks, or none, to tell it the commit index. */
export function sendAppend(r: Raft, pr: Progress): void {
  maybeSendAppend(r, pr, true);
}

/** What the peer before was sent in a broadcast: peers that lack the same entries share one array of them. */
interface Sent {
  next: number;
  entries: readonly Entry[];
  payload: number;
}

/**
 * Sends what a peer lacks, as entries or as a snapshot; returns whether anything was sent. `sendIfEmpty` allows an append without entries.
 * `sent` lets peers share: only between calls in which the log does not change.
 */
export function maybeSendAppend(r: Raft, pr: Progress, sendIfEmpty: boolean, sent?: Sent): boolean {
  if (pr.isPaused) return false;
  const previous = pr.next - 1;
  const previousTerm = r.log.term(previous);
  // The peer needs entries that are compacted.
  if (previousTerm < 0) return maybeSendSnapshot(r, pr);
  // With a full window only empty appends go out: should all that is in flight be lost, their answers show it.
  const mayCarry = pr.state !== "replicate" || !pr.inflights.isFull;
  const isShared = sent !== undefined && mayCarry && sent.next === pr.next;
  const entries = isShared ? sent.entries : mayCarry ? r.log.entriesFrom(pr.next, r.config.maxSizePerMsg) : NO_ENTRIES;
  if (entries.length === 0 && !sendIfEmpty) return false;
  const payload = isShared ? sent.payload : payloadSize(entries);
  if (sent !== undefined && mayCarry) {
    sent.next = pr.next;
    sent.entries = entries;
    sent.payload = payload;
  }
  const commit = r.log.committed;
  r.send({ type: "app", to: pr.id, index: previous, logTerm: previousTerm, entries, commit });
  pr.sentEntries(entries.length, payload);
  pr.sentCommit = commit;
  return true;
}

/** Sends appends to all other peers. */
export function broadcastAppend(r: Raft): void {
  const sent: Sent = { next: 0, entries: NO_ENTRIES, payload: 0 };
  for (const pr of r.tracker.members) if (pr.id !== r.id) maybeSendAppend(r, pr, true, sent);
}

/** Sends heartbeats to all other peers; they carry the newest pending read, so that each renews the proof for all of them. */
export function broadcastHeartbeat(r: Raft): void {
  const sequence = r.lease === undefined ? r.reads.lastPending : beginLeaseRound(r, r.lease);
  const context = sequence === 0 ? undefined : encodeReadSequence(sequence);
  for (const pr of r.tracker.members) {
    if (pr.id === r.id) continue;
    // Never beyond what the peer is known to have: the rest of its log may be another leader's.
    const commit = Math.min(pr.match, r.log.committed);
    r.send({ type: "heartbeat", to: pr.id, commit, context });
    pr.sentCommit = commit;
  }
}

/** Gives every round a number of its own, because each that a quorum answers renews the lease, reads or none. */
function beginLeaseRound(r: Raft, lease: Lease): number {
  const round = r.reads.nextSequence();
  r.reads.ack(r.id, round);
  lease.begin(round, r.ticks);
  return round;
}

function maybeSendSnapshot(r: Raft, pr: Progress): boolean {
  const to = pr.id;
  if (!pr.recentActive) {
    r.emit?.({ kind: "snapshotSkippedInactive", to });
    return false;
  }
  const snapshot = currentSnapshot(r);
  if (snapshot === undefined) {
    r.emit?.({ kind: "snapshotUnavailable", to });
    return false;
  }
  const { index, term } = snapshot.metadata;
  if (index === 0) throw new InvariantError(`peer ${r.id}: the log is compacted but the snapshot is empty`);
  r.emit?.({
    kind: "snapshotSent",
    firstIndex: r.log.firstIndex(),
    commit: r.log.committed,
    snapshot: { index, term },
    to,
    progress: pr.status(),
  });
  pr.becomeSnapshot(index);
  r.emit?.({ kind: "replicationPaused", to, progress: pr.status() });
  r.send({ type: "snap", to, snapshot });
  return true;
}

function currentSnapshot(r: Raft): Snapshot | undefined {
  try {
    return r.log.snapshot();
  } catch (error) {
    if (error instanceof SnapshotTemporarilyUnavailableError) return undefined;
    throw error;
  }
}
