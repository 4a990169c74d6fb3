/**
 * A configuration set by force on a group that lost its quorum (JRaft's resetPeers). What is recorded, and how far it is safe against the old
 * members coming back: docs/design/0006-reset-peers.md. This file decides and builds; the group does.
 */
import { RheaError } from "@rhea/common";
import { encodeConfChangeV2, FIRST_RESET_TERM, generationOf, nextGenerationTerm } from "../core/index.js";
import type { ConfChangeSingle, ConfState, HardState, Message, PeerId } from "../core/types.js";
import type { GroupLog, LogRecord } from "../log/api.js";
import type { PeerInfo } from "./api.js";
import { encodeChangeContext } from "./change-context.js";
import { requireList } from "./conf-goals.js";
import { findMember } from "./conf-plan.js";

/** A peer that is to take a configuration by force. */
export interface ResetPlace {
  readonly groupId: number;
  readonly peerId: PeerId;
  readonly members: readonly PeerInfo[];
}

/** Gives a peer that is named by its store only the id it has as a member. */
export function withId(members: readonly PeerInfo[], peer: PeerInfo): PeerInfo {
  return peer.peerId === 0 ? { ...peer, peerId: findMember(members, peer)?.peerId ?? 0 } : peer;
}

/**
 * Checks a configuration that is to be taken by force.
 * @throws RheaError INVALID_ARGUMENT or OPERATION_REFUSED that says why it cannot be.
 */
export function checkReset({ groupId, peerId, members }: ResetPlace, peers: readonly PeerInfo[]): void {
  requireList({ groupId }, peers);
  const refuse = (why: string): RheaError =>
    new RheaError("OPERATION_REFUSED", `group ${groupId}: its peers are not reset: ${why}`, {
      details: { regionId: groupId },
    });
  const self = peers.find((peer) => peer.peerId === peerId);
  if (self === undefined) throw refuse(`peer ${peerId} is here and not in the list`);
  if (self.role !== "voter") throw refuse(`peer ${peerId} is here and would not vote`);
  const nameless = peers.find((peer) => peer.peerId === 0);
  if (nameless !== undefined)
    throw refuse(`the peer on store ${nameless.storeId} is no member, and has no id: add it afterwards`);
  for (const peer of peers) {
    const member = members.find((known) => known.peerId === peer.peerId);
    if (member === undefined || member.storeId === peer.storeId) continue;
    throw refuse(`peer ${peer.peerId} is on store ${member.storeId}, not ${peer.storeId}`);
  }
}

/** Whether a group has exactly these members already. */
export function isConfiguration(
  members: readonly PeerInfo[],
  confState: ConfState,
  peers: readonly PeerInfo[],
): boolean {
  if (confState.votersOutgoing.length > 0 || members.length !== peers.length) return false;
  return peers.every(({ peerId, role }) => members.some((member) => member.peerId === peerId && member.role === role));
}

/** The configuration in the form of the core. */
export function confStateOf(peers: readonly PeerInfo[]): ConfState {
  const ids = (wanted: PeerInfo["role"]): PeerId[] =>
    peers
      .filter(({ role }) => role === wanted)
      .map(({ peerId }) => peerId)
      .sort((a, b) => a - b);
  return { voters: ids("voter"), learners: ids("learner"), votersOutgoing: [], learnersNext: [], autoLeave: false };
}

/** What a reset writes, in one append. */
export interface ResetRecords {
  readonly records: readonly LogRecord[];
  readonly hardState: HardState;
  /** Index of its entry; committed with it is all that the log has before. */
  readonly index: number;
}

/** Builds the records of a reset behind everything that `log` has; `lot` in [0, 256) is drawn by chance. */
export function resetRecords(
  log: GroupLog,
  present: { readonly term: number; readonly members: readonly PeerInfo[] },
  peers: readonly PeerInfo[],
  lot: number,
): ResetRecords {
  const { groupId } = log;
  const index = log.lastIndex + 1;
  const term = nextGenerationTerm(present.term, lot);
  const data = encodeConfChangeV2({
    transition: "auto",
    changes: describeReset(present.members, peers),
    context: encodeChangeContext(peers, true),
  });
  // Nobody led this term, and nobody votes in it: the first campaign is in the next.
  const hardState = { term, vote: 0, commit: index };
  return {
    records: [
      { kind: "entries", groupId, entries: [{ term, index, type: "confChangeV2", data }] },
      { kind: "hardState", groupId, hardState },
    ],
    hardState,
    index,
  };
}

/** The reset in words of single changes, for state machines that look at them; what counts is the whole list in the context. */
function describeReset(members: readonly PeerInfo[], peers: readonly PeerInfo[]): ConfChangeSingle[] {
  const stays = new Set(peers.map(({ peerId }) => peerId));
  const gone = members.filter(({ peerId }) => !stays.has(peerId));
  return [
    ...peers.map(({ peerId, role }): ConfChangeSingle => ({
      type: role === "voter" ? "addNode" : "addLearnerNode",
      nodeId: peerId,
    })),
    ...gone.map(({ peerId }): ConfChangeSingle => ({ type: "removeNode", nodeId: peerId })),
  ];
}

/**
 * Judges a message of a group that was reset, at a peer whose log has nothing of that yet. Raft lets a follower answer for all it has
 * committed; a peer of the old history may have committed what the reset left out, and must not.
 * "drop": it cannot be told from this message; the leader will say more.
 */
export function judgeAfterReset(message: Message, log: GroupLog, committed: number): "fits" | "cutOff" | "drop" {
  if (message.term < FIRST_RESET_TERM || (message.type !== "app" && message.type !== "snap")) return "fits";
  const { truncatedIndex, truncatedTerm, lastIndex } = log;
  if (generationOf(log.term(lastIndex)) === generationOf(message.term)) return "fits";
  if (message.snapshot !== undefined) return message.snapshot.metadata.index > committed ? "fits" : "cutOff";
  if (message.index > committed) return "fits";
  if (committed > lastIndex) return "drop";
  const judge = (index: number, term: number): "fits" | "cutOff" | "drop" => {
    if (index >= truncatedIndex) return log.term(index) === term ? "fits" : "cutOff";
    return term > truncatedTerm ? "cutOff" : "drop";
  };
  let verdict = judge(message.index, message.logTerm);
  let last = message.index;
  for (const entry of message.entries) {
    if (verdict !== "fits" || entry.index > committed) break;
    verdict = judge(entry.index, entry.term);
    last = entry.index;
  }
  return verdict === "fits" && last < committed ? "drop" : verdict;
}

/** The error with which a peer of the old history stops. */
export function cutOffError(groupId: number, committed: number, term: number): RheaError {
  const what = `group ${groupId} was reset by force (term ${term}) at a peer that lacked entries committed here (up to ${committed})`;
  return new RheaError("STALE_IDENTITY", `${what}: this peer's state is not the group's: remove it and add a new one`, {
    details: { regionId: groupId },
  });
}
