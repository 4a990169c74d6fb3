/** The core's messages and what they are on the wire. */
import type {
  HeartbeatAckItem,
  HeartbeatItem,
  RaftEntry,
  RaftMessage,
  RaftMessageInit,
  RaftSnapshotMeta,
  RaftSnapshotMetaInit,
} from "@rhea/proto";
import { decodeReadSequence, encodeReadSequence, makeMessage } from "../core/index.js";
import type { ConfState, Entry, Message, MessageType, PeerId } from "../core/types.js";
import type { GroupDescription, PeerInfo } from "./api.js";
import { encodeEntries, ENTRY_KINDS } from "./entries-wire.js";
import { peerFromWire, peerToWire } from "./membership.js";

// Fixed: these numbers are on the wire. Heartbeats and their answers travel as items and have none.
const WIRE_TYPES = {
  prop: 2,
  app: 3,
  appResp: 4,
  vote: 5,
  voteResp: 6,
  snap: 7,
  transferLeader: 13,
  timeoutNow: 14,
  readIndex: 15,
  readIndexResp: 16,
  preVote: 17,
  preVoteResp: 18,
} as const satisfies Partial<Record<MessageType, number>>;

type WireType = keyof typeof WIRE_TYPES;

const TYPES_BY_NUMBER: readonly (WireType | undefined)[] = (() => {
  const types: (WireType | undefined)[] = [];
  for (const [type, number] of Object.entries(WIRE_TYPES)) types[number] = type as WireType;
  return types;
})();

/** Fields in their wire form: the generated encoder writes them out as they are, behind the others. */
interface EncodedFields {
  readonly $unknowns: readonly Uint8Array[];
}

const NO_FIELDS: readonly Uint8Array[] = [];

function isWireType(type: MessageType): type is WireType {
  return type in WIRE_TYPES;
}

/** Returns the payload bytes a message carries: what counts against queues. */
export function payloadBytes(message: Message): number {
  return encodeEntries(message.entries).dataBytes;
}

/** Encodes a message to another peer; `description` goes with initial ones. Undefined for types that never leave a process. */
export function messageToWire(
  groupId: number,
  message: Message,
  description: GroupDescription | undefined,
): RaftMessageInit | undefined {
  if (!isWireType(message.type)) return undefined;
  const { field } = encodeEntries(message.entries);
  const wire: RaftMessageInit & EncodedFields = {
    type: WIRE_TYPES[message.type],
    groupId,
    fromPeer: message.from,
    toPeer: message.to,
    term: message.term,
    logTerm: message.logTerm,
    index: message.index,
    commit: message.commit,
    reject: message.reject,
    rejectHint: message.rejectHint,
    context: message.context,
    $unknowns: field === undefined ? NO_FIELDS : [field],
  };
  if (description === undefined) return wire;
  const { epoch, startKey, endKey } = description;
  return { ...wire, initial: true, epoch, startKey, endKey };
}

/** Decodes a message; undefined for a type this version does not know. */
export function messageFromWire(wire: RaftMessage): Message | undefined {
  const type = TYPES_BY_NUMBER[wire.type];
  if (type === undefined) return undefined;
  return makeMessage({
    type,
    to: wire.toPeer,
    from: wire.fromPeer,
    term: wire.term,
    logTerm: wire.logTerm,
    index: wire.index,
    entries: wire.entries.map(entryFromWire),
    commit: wire.commit,
    reject: wire.reject,
    rejectHint: wire.rejectHint,
    context: wire.context.length === 0 ? undefined : wire.context,
  });
}

/** Returns the number of a `snap` message, which travels as the header of a transfer. */
export function snapMessageToWire(
  groupId: number,
  message: Message,
  meta: RaftSnapshotMetaInit,
  description: GroupDescription | undefined,
): RaftMessageInit {
  return { ...messageToWire(groupId, message, description), snapshot: meta };
}

/** Decodes a heartbeat's item. */
export function heartbeatFromWire(item: HeartbeatItem): Message {
  return makeMessage({
    type: "heartbeat",
    to: item.toPeer,
    from: item.fromPeer,
    term: item.term,
    commit: item.commit,
    context: item.readSeq === 0 ? undefined : encodeReadSequence(item.readSeq),
  });
}

/** Decodes the item of a heartbeat's answer. */
export function ackFromWire(item: HeartbeatAckItem): Message {
  return makeMessage({
    type: "heartbeatResp",
    to: item.toPeer,
    from: item.fromPeer,
    term: item.term,
    context: item.readSeq === 0 ? undefined : encodeReadSequence(item.readSeq),
  });
}

/** Returns the ReadIndex round that a heartbeat or its answer carries; 0: none. */
export function readSequenceOf(message: Message): number {
  return decodeReadSequence(message.context);
}

/** Reads epoch and range of an initial message. */
export function descriptionFromWire(wire: RaftMessage | HeartbeatItem): GroupDescription {
  const epoch = {
    confVer: wire.epoch?.confVer ?? 0,
    version: wire.epoch?.version ?? 0,
  };
  return { epoch, startKey: wire.startKey, endKey: wire.endKey };
}

/** Encodes what a snapshot holds. */
export function snapshotMetaToWire(
  index: number,
  term: number,
  confState: ConfState,
  peers: readonly PeerInfo[],
): RaftSnapshotMetaInit {
  return { index, term, confState, peers: peers.map(peerToWire) };
}

/** Decodes what a snapshot holds. */
export function snapshotMetaFromWire(meta: RaftSnapshotMeta): {
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState;
  readonly peers: readonly PeerInfo[];
} {
  const { voters, learners, votersOutgoing, learnersNext, autoLeave } = meta.confState ?? EMPTY_CONF;
  const confState = {
    voters,
    learners,
    votersOutgoing,
    learnersNext,
    autoLeave,
  };
  return {
    index: meta.index,
    term: meta.term,
    confState,
    peers: meta.peers.map(peerFromWire),
  };
}

const NO_IDS: PeerId[] = [];
const EMPTY_CONF = {
  voters: NO_IDS,
  learners: NO_IDS,
  votersOutgoing: NO_IDS,
  learnersNext: NO_IDS,
  autoLeave: false,
};

function entryFromWire({ kind, term, index, data }: RaftEntry): Entry {
  // An unknown kind must not pass for a user's bytes: the change-of-membership decoder will refuse it loudly.
  return { type: ENTRY_KINDS[kind] ?? "confChangeV2", term, index, data };
}
