/** The errors a node answers with; messages name the group and what to do. */
import { RheaError } from "@rhea/common";
import type { PeerPlace } from "./group-host.js";

/** How long a caller does well to wait when bounds are reached. */
const RETRY_AFTER_MS = 50;

/** This peer does not lead. */
export function notLeader(groupId: number, leader: PeerPlace, maybeApplied = false): RheaError {
  const place = leader.address === undefined ? `on store ${leader.storeId}` : `at ${leader.address}`;
  const where = leader.peerId === 0 ? "its leader is unknown" : `peer ${leader.peerId} ${place} does`;
  const details = {
    regionId: groupId,
    ...(leader.peerId === 0 ? {} : { leader }),
    ...(maybeApplied ? { maybeApplied } : {}),
  };
  return new RheaError("NOT_LEADER", `group ${groupId}: this peer does not lead, ${where}`, { details });
}

/** Leadership was lost with the proposal in the log. */
export function leadershipLost(groupId: number, leader: PeerPlace): RheaError {
  const details = { regionId: groupId, maybeApplied: true, ...(leader.peerId === 0 ? {} : { leader }) };
  const message = `group ${groupId}: leadership was lost before the entry committed: it may still be applied`;
  return new RheaError("NOT_LEADER", message, { details });
}

/** Bounds on what may wait are reached. */
export function busy(groupId: number, why: string): RheaError {
  const details = { regionId: groupId, retryAfterMs: RETRY_AFTER_MS };
  return new RheaError("SERVER_BUSY", `group ${groupId}: ${why}: repeat later`, { details });
}

/** No leader is known to ask. */
export function noLeader(groupId: number, what: string): RheaError {
  return new RheaError("LEADER_NOT_AVAILABLE", `group ${groupId}: ${what}: no leader answers, repeat later`, {
    details: { regionId: groupId },
  });
}

/** The peer is going away. */
export function closing(groupId: number, maybeApplied = false): RheaError {
  return new RheaError("SHUTTING_DOWN", `group ${groupId}: this peer is shutting down: ask another one`, {
    details: { regionId: groupId, ...(maybeApplied ? { maybeApplied } : {}) },
  });
}

/** The error with which this peer stopped, for a proposal in the log that the others may still commit and apply. */
export function perhapsApplied(error: RheaError): RheaError {
  return new RheaError(error.code, error.message, { cause: error, details: { ...error.details, maybeApplied: true } });
}

/** Another membership change has to end first. */
export function changeBusy(groupId: number): RheaError {
  return new RheaError("CONF_CHANGE_BUSY", `group ${groupId}: another membership change is in progress: repeat later`, {
    details: { regionId: groupId },
  });
}

/** No voter is near enough to take leadership over. */
export function noSuccessor(groupId: number): RheaError {
  const why = "no other voter answers and follows closely: look at its peers' progress";
  return new RheaError("TRANSFER_FAILED", `group ${groupId}: leadership cannot move: ${why}`, {
    details: { regionId: groupId },
  });
}

/** A reset by force is not for a group that has a leader. */
export function hasLeader(groupId: number, { peerId, storeId }: PeerPlace): RheaError {
  const why = `peer ${peerId} on store ${storeId} leads it: change its peers there`;
  return new RheaError("OPERATION_REFUSED", `group ${groupId}: its peers are not reset by force: ${why}`, {
    details: { regionId: groupId, leader: { peerId, storeId } },
  });
}
