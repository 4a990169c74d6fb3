import { NO_PEER, type Entry, type Message, type MessageType, type PeerId } from "./types.js";

/** Is the entries of a message that carries none. */
export const NO_ENTRIES: readonly Entry[] = Object.freeze([]);

/** Builds a message; what is not given is 0, false, empty or absent. All messages have one shape, which keeps the hot path fast. */
export function makeMessage(
  fields: Partial<Message> & Pick<Message, "type">,
  from: PeerId = fields.from ?? NO_PEER,
  term: number = fields.term ?? 0,
): Message {
  return {
    type: fields.type,
    to: fields.to ?? NO_PEER,
    from,
    term,
    logTerm: fields.logTerm ?? 0,
    index: fields.index ?? 0,
    entries: fields.entries ?? NO_ENTRIES,
    commit: fields.commit ?? 0,
    vote: fields.vote ?? NO_PEER,
    snapshot: fields.snapshot,
    reject: fields.reject ?? false,
    rejectHint: fields.rejectHint ?? 0,
    context: fields.context,
    responses: fields.responses,
  };
}

/** Says whether only the host itself may step such a message. */
export function isLocalMessage(type: MessageType): boolean {
  switch (type) {
    case "hup":
    case "beat":
    case "unreachable":
    case "snapStatus":
    case "checkQuorum":
    case "storageAppend":
    case "storageAppendResp":
    case "storageApply":
    case "storageApplyResp":
      return true;
    default:
      return false;
  }
}

/** Says whether such a message answers one of ours, so that it only counts when its sender is a member. */
export function isResponseMessage(type: MessageType): boolean {
  switch (type) {
    case "appResp":
    case "voteResp":
    case "heartbeatResp":
    case "unreachable":
    case "readIndexResp":
    case "preVoteResp":
    case "storageAppendResp":
    case "storageApplyResp":
      return true;
    default:
      return false;
  }
}

/** Says whether responses of this type vouch for something stored, so that they must wait until it is. */
export function waitsForStorage(type: MessageType): boolean {
  return type === "appResp" || type === "voteResp" || type === "preVoteResp";
}
