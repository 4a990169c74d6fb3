/** Judges at open, from the engine's records and the log, what becomes of each group. Pure. */
import { RheaError } from "@rhea/common";
import type { GroupLog } from "@rhea/raft";
import { lostBatchError, type MarkerCheck } from "../overlay/turn-markers.js";
import type { StoredRegion } from "../region/region.js";

/** What to do with one group. */
export type Recovery =
  /** Start it where it stopped. */
  | { readonly kind: "start"; readonly stored: StoredRegion }
  /** Start it with its log at the first index: a crash came between the records and the log. */
  | { readonly kind: "startAnew"; readonly stored: StoredRegion }
  /** An empty peer that waits for a snapshot (which may be staged already). */
  | {
      readonly kind: "await";
      readonly regionId: number;
      readonly peerId: number;
      readonly stored: StoredRegion | undefined;
    }
  /** The tombstone is durable, the rest of the destruction is not. */
  | { readonly kind: "finishDestroy"; readonly stored: StoredRegion }
  /** Made by a message, lost before it counted. */
  | { readonly kind: "drop"; readonly stored: StoredRegion }
  /** Must not start. `condemn`: not yet on record in the log. */
  | {
      readonly kind: "fault";
      readonly stored: StoredRegion | undefined;
      readonly group: FaultyGroup;
      readonly condemn: boolean;
    };

/** A peer that does not run, and why. */
export interface FaultyGroup {
  readonly regionId: number;
  readonly peerId: number;
  readonly error: RheaError;
}

/** Judges every group that either side knows of. */
export function planRecovery(
  stored: readonly StoredRegion[],
  groups: Iterable<GroupLog>,
  markers: MarkerCheck,
): Recovery[] {
  const logs = new Map([...groups].map((group) => [group.groupId, group]));
  const plan: Recovery[] = [];
  for (const region of stored) {
    const { regionId } = region.record.descriptor;
    plan.push(judgeStored(region, logs.get(regionId), markers));
    logs.delete(regionId);
  }
  for (const group of logs.values()) {
    const recovery = judgeUnknown(group);
    if (recovery !== undefined) plan.push(recovery);
  }
  return plan;
}

function judgeStored(stored: StoredRegion, log: GroupLog | undefined, markers: MarkerCheck): Recovery {
  const { record } = stored;
  const { regionId } = record.descriptor;
  const fault = (error: RheaError, condemn: boolean): Recovery => ({
    kind: "fault",
    stored,
    group: { regionId, peerId: record.peerId, error },
    condemn,
  });
  const corrupt = (what: string): RheaError =>
    new RheaError("CORRUPTION", `region ${regionId}: ${what}; remove this peer and add it again`, {
      details: { regionId },
    });
  if (log === undefined || (log.lifecycle.state === "destroyed" && log.lifecycle.peerId < record.peerId)) {
    if (record.awaitingSnapshot) return { kind: "drop", stored };
    if (!record.logStarted) return { kind: "startAnew", stored };
    return fault(corrupt("its data are here but the log does not know it"), false);
  }
  const { lifecycle } = log;
  if (lifecycle.state === "destroyed") return { kind: "finishDestroy", stored };
  if (lifecycle.state === "condemned") return fault(corrupt(lifecycle.reason), false);
  if (lifecycle.peerId !== record.peerId) {
    return fault(corrupt(`the log is of peer ${lifecycle.peerId}, the data of peer ${record.peerId}`), true);
  }
  if (record.awaitingSnapshot) return { kind: "await", regionId, peerId: record.peerId, stored };
  if (markers.kind === "lostAny" || (markers.kind === "lost" && markers.regions.has(regionId))) {
    return fault(lostBatchError(regionId, markers.sequence), true);
  }
  return { kind: "start", stored };
}

function judgeUnknown(group: GroupLog): Recovery | undefined {
  const { groupId, lifecycle } = group;
  if (lifecycle.state === "destroyed") return undefined;
  const fault = (reason: string, condemn: boolean): Recovery => ({
    kind: "fault",
    stored: undefined,
    group: {
      regionId: groupId,
      peerId: lifecycle.peerId,
      error: new RheaError("CORRUPTION", `region ${groupId}: ${reason}; remove this peer and add it again`, {
        details: { regionId: groupId },
      }),
    },
    condemn,
  });
  if (lifecycle.state === "condemned") return fault(lifecycle.reason, false);
  const isEmpty = group.truncatedIndex === 0 && group.lastIndex === 0;
  if (isEmpty || group.pendingInstall !== undefined) {
    return { kind: "await", regionId: groupId, peerId: lifecycle.peerId, stored: undefined };
  }
  return fault(`the log has it up to ${group.lastIndex} but its data are gone`, true);
}
