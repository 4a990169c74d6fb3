/** Whether and from where a peer may live here: what its log says of its creation, its destruction and its damage. */
import { RheaError } from "@rhea/common";
import type { PeerId } from "../core/types.js";
import type { GroupLifecycle, GroupLog, LogRecord } from "../log/api.js";
import type { GroupOptions } from "./api.js";

/** A position in a log. */
export interface LogStart {
  readonly index: number;
  readonly term: number;
}

/**
 * A group's first peers begin after this position: whoever joins later begins before it, and so gets a snapshot, which tells the
 * members too. Without snapshots all must begin at the very start.
 */
const DEFAULT_START: LogStart = { index: 1, term: 1 };

/** Returns the position after which a new peer's log begins, unless its creator says otherwise. */
export function defaultStart({ confState, stateMachine }: GroupOptions): LogStart {
  const isFirst = confState.voters.length > 0 && stateMachine.onSnapshotSave !== undefined;
  return isFirst ? DEFAULT_START : { index: 0, term: 0 };
}

/** Returns the applied index a peer starts with: what was created at the default start has nothing to apply there. */
export function appliedAtStart({ truncatedIndex }: GroupLog, { applied = 0, snapshots }: GroupOptions): number {
  // Where it really is comes with the snapshot that is loaded first.
  if (snapshots !== undefined) return truncatedIndex;
  return applied === 0 && truncatedIndex === DEFAULT_START.index ? DEFAULT_START.index : applied;
}

/**
 * Returns the records that begin a peer's life here, or undefined if it has begun.
 * @throws RheaError CORRUPTION for a condemned peer, ALREADY_EXISTS when another peer lives here, OPERATION_REFUSED for a peer id at or
 * below a destroyed one.
 */
export function createdRecords(
  lifecycle: GroupLifecycle | undefined,
  groupId: number,
  peerId: PeerId,
  { index, term }: LogStart,
): LogRecord[] | undefined {
  if (lifecycle?.state === "condemned") {
    const advice = "remove the peer and add a new one";
    throw new RheaError("CORRUPTION", `group ${groupId} may not start here: ${lifecycle.reason}; ${advice}`);
  }
  if (lifecycle?.state === "live") {
    if (lifecycle.peerId === peerId) return undefined;
    throw new RheaError("ALREADY_EXISTS", `group ${groupId} has peer ${lifecycle.peerId} here, not ${peerId}`);
  }
  if (lifecycle !== undefined && lifecycle.peerId >= peerId) {
    const why = `peer ${lifecycle.peerId} was destroyed here: a new peer needs a higher id than that`;
    throw new RheaError("OPERATION_REFUSED", `group ${groupId}, peer ${peerId}: ${why}`);
  }
  const created: LogRecord = { kind: "created", groupId, peerId, index, term };
  return term === 0
    ? [created]
    : [created, { kind: "hardState", groupId, hardState: { term, vote: 0, commit: index } }];
}

/**
 * Says whether a message may make the embedder create a peer: not one that is condemned here, nor one that was destroyed. A damaged log may not
 * know which peer that was: then only a membership later than the one that proved its end brings another, else it could come back without its vote.
 */
export function mayBeCreated(lifecycle: GroupLifecycle | undefined, peerId: PeerId, confVer: number): boolean {
  if (lifecycle?.state === "condemned") return false;
  if (lifecycle?.state === "destroyed" && lifecycle.peerId === 0) return confVer > lifecycle.confVer;
  return lifecycle?.state !== "destroyed" || lifecycle.peerId < peerId;
}

/**
 * Says why a peer with this applied index must not take part: a state machine beyond its log, or a log that misses entries, could forget
 * what it acknowledged. Undefined if it may.
 */
export function whyAppliedDoesNotFit(log: GroupLog, applied: number): string | undefined {
  if (log.pendingInstall !== undefined) return undefined;
  const { truncatedIndex, lastIndex } = log;
  if (applied >= truncatedIndex && applied <= lastIndex) return undefined;
  return `applied index ${applied} is not within its log (${truncatedIndex} to ${lastIndex})`;
}
