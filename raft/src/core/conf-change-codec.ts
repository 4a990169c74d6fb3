import { EMPTY_BYTES, RheaError } from "@rhea/common";
import type {
  ConfChange,
  ConfChangeSingle,
  ConfChangeTransition,
  ConfChangeType,
  ConfChangeV2,
  Entry,
} from "./types.js";

// Form 1: version byte, transition or type byte, then for V2 a count; each change is a type byte and an id of 8 bytes; the rest is
// the context. The change without changes, transition and context is no bytes at all, so that size limits never refuse it.
const VERSION = 1;
const TYPES: readonly ConfChangeType[] = ["addNode", "removeNode", "updateNode", "addLearnerNode"];
const TRANSITIONS: readonly ConfChangeTransition[] = ["auto", "jointImplicit", "jointExplicit"];
const CHANGE_BYTES = 9;

/** Encodes a membership change as the data of a "confChangeV2" entry; a plain "leave the joint configuration" takes no bytes. */
export function encodeConfChangeV2(change: ConfChangeV2): Uint8Array {
  const { transition, changes, context } = change;
  if (transition === "auto" && changes.length === 0 && context.length === 0) return EMPTY_BYTES;
  if (changes.length > 255)
    throw new RheaError("INVALID_ARGUMENT", `a membership change has ${changes.length} parts: at most 255`);
  const head = 3 + changes.length * CHANGE_BYTES;
  const out = Buffer.alloc(head + context.length);
  out[0] = VERSION;
  out[1] = TRANSITIONS.indexOf(transition);
  out[2] = changes.length;
  changes.forEach((single, i) => {
    writeSingle(out, 3 + i * CHANGE_BYTES, single);
  });
  out.set(context, head);
  return out;
}

/**
 * Decodes what `encodeConfChangeV2` wrote.
 * @throws RheaError CORRUPTION when the bytes are none of it.
 */
export function decodeConfChangeV2(data: Uint8Array): ConfChangeV2 {
  if (data.length === 0) return { transition: "auto", changes: [], context: EMPTY_BYTES };
  const transition = TRANSITIONS[data[1] ?? 255];
  const head = 3 + (data[2] ?? 0) * CHANGE_BYTES;
  if (data[0] !== VERSION || transition === undefined || data.length < head) throw malformed(data);
  const changes: ConfChangeSingle[] = [];
  for (let at = 3; at < head; at += CHANGE_BYTES) changes.push(readSingle(data, at));
  return { transition, changes, context: data.subarray(head) };
}

/** Encodes a membership change as the data of a "confChange" entry. */
export function encodeConfChange(change: ConfChange): Uint8Array {
  const head = 1 + CHANGE_BYTES;
  const out = Buffer.alloc(head + change.context.length);
  out[0] = VERSION;
  writeSingle(out, 1, change);
  out.set(change.context, head);
  return out;
}

/**
 * Decodes what `encodeConfChange` wrote.
 * @throws RheaError CORRUPTION when the bytes are none of it.
 */
export function decodeConfChange(data: Uint8Array): ConfChange {
  const head = 1 + CHANGE_BYTES;
  if (data[0] !== VERSION || data.length < head) throw malformed(data);
  return { ...readSingle(data, 1), context: data.subarray(head) };
}

/** Turns the older form of a membership change into the newer. */
function confChangeAsV2(change: ConfChange): ConfChangeV2 {
  return { transition: "auto", changes: [{ type: change.type, nodeId: change.nodeId }], context: change.context };
}

/** Decodes the membership change of an entry, or returns undefined for a normal entry. */
export function confChangeOfEntry(entry: Entry): ConfChangeV2 | undefined {
  if (entry.type === "normal") return undefined;
  return entry.type === "confChange" ? confChangeAsV2(decodeConfChange(entry.data)) : decodeConfChangeV2(entry.data);
}

function writeSingle(out: Buffer, at: number, single: ConfChangeSingle): void {
  out[at] = TYPES.indexOf(single.type);
  out.writeBigUInt64BE(BigInt(single.nodeId), at + 1);
}

function readSingle(data: Uint8Array, at: number): ConfChangeSingle {
  const type = TYPES[data[at] ?? 255];
  const view = new DataView(data.buffer, data.byteOffset + at + 1, 8);
  const nodeId = view.getUint32(0) * 2 ** 32 + view.getUint32(4);
  if (type === undefined || !Number.isSafeInteger(nodeId)) throw malformed(data);
  return { type, nodeId };
}

function malformed(data: Uint8Array): RheaError {
  const start = Buffer.from(data.subarray(0, 16)).toString("hex");
  return new RheaError(
    "CORRUPTION",
    `a membership change of ${data.length} bytes is malformed, it starts with ${start}`,
  );
}
