/** Figures of one node for metrics, and the same for a person to read. */
import type { RaftStatus } from "../core/types.js";
import type { GroupLog } from "../log/api.js";
import type { NodeMetrics, NodeStatus } from "./api.js";
import type { ApplyFigures } from "./apply.js";
import type { SnapshotFigures } from "./node-snapshots.js";
import type { ProposalQueue } from "./proposals.js";

/** What the figures are made of. */
export interface NodeFigures {
  readonly status: NodeStatus;
  /** Absent before the start. */
  readonly raft: RaftStatus | undefined;
  readonly log: GroupLog;
  readonly proposals: ProposalQueue;
  readonly apply: ApplyFigures;
  /** Absent without the `snapshots` option. */
  readonly snapshots: SnapshotFigures | undefined;
  readonly snapshotsSent: number;
  readonly snapshotsNotSent: number;
}

const NO_SNAPSHOTS: SnapshotFigures = { saved: 0, failed: 0, saveMs: 0, newestIndex: 0, newestBytes: 0 };

/** Puts the figures of a node together. */
export function nodeMetrics(figures: NodeFigures): NodeMetrics {
  const { status, raft, log, proposals, apply, snapshots = NO_SNAPSHOTS, snapshotsSent, snapshotsNotSent } = figures;
  const { groupId, peerId, state, term, leader, committed, applied, lastIndex, truncatedIndex } = status;
  const { loaded, ...applying } = apply;
  return {
    groupId,
    peerId,
    state,
    term,
    leader,
    committed,
    applied,
    log: { firstIndex: truncatedIndex + 1, lastIndex, bytes: log.liveBytes },
    proposals: {
      pending: proposals.count,
      pendingBytes: proposals.bytes,
      waitingForRoom: proposals.parked,
      ...proposals.figures,
    },
    apply: applying,
    snapshots: { ...snapshots, loaded, sent: snapshotsSent, notSent: snapshotsNotSent },
    replication: status.progress
      .filter((peer) => peer.peerId !== peerId)
      .map(({ peerId: id, storeId, role, match, state: sending, lastActiveMs }) => ({
        peerId: id,
        storeId,
        role,
        state: sending,
        lag: Math.max(0, lastIndex - match),
        inflight: raft?.progress.get(id)?.inflightMsgs ?? 0,
        silentMs: lastActiveMs,
      })),
  };
}

/** Writes some lines about a node. */
export function describeNode({
  status,
  metrics,
}: {
  readonly status: NodeStatus;
  readonly metrics: NodeMetrics;
}): string {
  const { groupId, peerId, state, term, leader, peers, error } = status;
  const { committed, applied, log, proposals, apply, snapshots, replication } = metrics;
  const members = peers.map((peer) => `${peer.peerId}@${peer.storeId}${peer.role === "voter" ? "" : " (learner)"}`);
  const lines = [
    `group ${groupId} peer ${peerId}: ${state}, term ${term}, ${leader === 0 ? "no leader known" : `leader ${leader}`}`,
    `members: ${members.length === 0 ? "not known yet" : members.join(", ")}`,
    `log: ${log.firstIndex}..${log.lastIndex} (${log.bytes} bytes), committed ${committed}, applied ${applied}`,
    `proposals: ${proposals.pending} pending (${proposals.pendingBytes} bytes), ${proposals.waitingForRoom} waiting for room; ` +
      `since the start ${proposals.proposed} made, ${proposals.dropped} dropped, ${proposals.busy} refused as busy, ` +
      `${mean(proposals.latencyMs, proposals.applied)} ms each`,
    `apply: ${apply.entries} entries (${apply.bytes} bytes) in ${apply.batches} batches, ${mean(apply.ms, apply.batches)} ms each`,
    `snapshots: newest at ${snapshots.newestIndex} (${snapshots.newestBytes} bytes); ${snapshots.saved} saved, ` +
      `${snapshots.failed} failed, ${snapshots.loaded} loaded, ${snapshots.sent} sent, ${snapshots.notSent} not sent`,
  ];
  for (const { peerId: id, storeId, role, state: sending, lag, inflight, silentMs } of replication) {
    const heard = silentMs >= Number.MAX_SAFE_INTEGER ? "never heard of" : `heard of ${Math.round(silentMs)} ms ago`;
    lines.push(
      `to peer ${id} on store ${storeId} (${role}): ${sending}, ${lag} behind, ${inflight} in flight, ${heard}`,
    );
  }
  if (error !== undefined) lines.push(`error ${error.code}: ${error.message}`);
  return `${lines.join("\n")}\n`;
}

function mean(sum: number, count: number): string {
  return count === 0 ? "0" : (sum / count).toFixed(2);
}
