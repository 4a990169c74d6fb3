import { InvariantError } from "@rhea/common";
import { SnapshotTemporarilyUnavailableError } from "./errors.js";
import { payloadSize } from "./entry-size.js";
import { NO_ENTRIES } from "./message.js";
import { encodeReadSequence } from "./read-only.js";
import type { Progress } from "./progress.js";
import type { Raft } from "./raft.js";
import type { Snapshot } from "./types.js";

/** Sends an append to a peer unless its flow is paused: entries it lacks, or none, to tell it the commit index. */
export function sendAppend(r: Raft, pr: Progress): void {
  maybeSendAppend(r, pr, true);
}

/** Sends what a peer lacks, as entries or as a snapshot; returns whether anything was sent. `sendIfEmpty` allows an append without entries. */
export function maybeSendAppend(r: Raft, pr: Progress, sendIfEmpty: boolean): boolean {
  if (pr.isPaused) return false;
  const previous = pr.next - 1;
  const previousTerm = r.log.term(previous);
  // The peer needs entries that are compacted.
  if (previousTerm < 0) return maybeSendSnapshot(r, pr);
  // With a full window only empty appends go out: should all that is in flight be lost, their answers show it.
  const mayCarry = pr.state !== "replicate" || !pr.inflights.isFull;
  const entries = mayCarry ? r.log.entriesFrom(pr.next, r.config.maxSizePerMsg) : NO_ENTRIES;
  if (entries.length === 0 && !sendIfEmpty) return false;
  const commit = r.log.committed;
  r.send({ type: "app", to: pr.id, index: previous, logTerm: previousTerm, entries, commit });
  pr.sentEntries(entries.length, payloadSize(entries));
  pr.sentCommit = commit;
  return true;
}

/** Sends appends to all other peers. */
export function broadcastAppend(r: Raft): void {
  for (const pr of r.tracker.members) if (pr.id !== r.id) sendAppend(r, pr);
}

/** Sends heartbeats to all other peers; they carry the newest pending read, so that each renews the proof for all of them. */
export function broadcastHeartbeat(r: Raft): void {
  const sequence = r.reads.lastPending;
  const context = sequence === 0 ? undefined : encodeReadSequence(sequence);
  for (const pr of r.tracker.members) {
    if (pr.id === r.id) continue;
    // Never beyond what the peer is known to have: the rest of its log may be another leader's.
    const commit = Math.min(pr.match, r.log.committed);
    r.send({ type: "heartbeat", to: pr.id, commit, context });
    pr.sentCommit = commit;
  }
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
