/** Puts a group's message into the outbox to its store: heartbeats and their answers as items, the rest as messages. */
import { InvariantError } from "@rhea/common";
import type { Message, PeerId } from "../core/types.js";
import type { Outbox } from "../transport/outbox.js";
import type { GroupDescription } from "./api.js";
import { messageToWire, payloadBytes, readSequenceOf } from "./message-codec.js";

/** The group's side of a message. */
export interface Sender {
  readonly groupId: number;
  /** Where its log begins; travels with heartbeats. */
  readonly truncatedIndex: number;
  /** On a leader's heartbeat: the group may rest. */
  readonly offersRest: boolean;
  /** On the answer to a heartbeat: the commit index at which the group rests here from now on, or 0. */
  readonly restsAt: number;
}

/** Queues a message; `description` goes with initial ones. False when the outbox is full: the message is lost. */
export function post(
  outbox: Outbox,
  { groupId, truncatedIndex, offersRest, restsAt }: Sender,
  message: Message,
  description: GroupDescription | undefined,
): boolean {
  const { type, from: fromPeer, to: toPeer, term, commit } = message;
  if (type === "heartbeat") {
    const item = {
      groupId,
      fromPeer,
      toPeer,
      term,
      commit,
      readSeq: readSequenceOf(message),
      truncatedIndex,
      quiet: offersRest,
    };
    outbox.addHeartbeat(description === undefined ? item : { ...item, ...description, initial: true });
    return true;
  }
  if (type === "heartbeatResp") {
    outbox.addAck({ groupId, fromPeer, toPeer, term, readSeq: readSequenceOf(message), quietCommit: restsAt });
    return true;
  }
  const wire = messageToWire(groupId, message, description);
  if (wire === undefined) throw new InvariantError(`group ${groupId}: ${type} is addressed to peer ${toPeer}`);
  return outbox.addMessage(wire, payloadBytes(message));
}

/** Says whether a message may find nobody there, so that it must say what the group is. */
export function mayFindNobody({ type, commit, to }: Message, contacts: { hasHeard(peerId: PeerId): boolean }): boolean {
  switch (type) {
    case "vote":
    case "preVote":
      return true;
    case "heartbeat":
      return commit === 0;
    case "app":
    case "snap":
      return !contacts.hasHeard(to);
    default:
      return false;
  }
}
