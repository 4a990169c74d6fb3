/**
 * Frames of the memory engine's journal: `magic u32 | sequence u32 | length u32 | crc u32 | payload`, little-endian, CRC over sequence
 * and payload. Payload: `op u8 | key length u32 | key | (put: value length u32 | value)` repeated. See docs/design/0001-formats.md.
 */
import { crc32, toLatin1 } from "@rhea/common";

const MAGIC = 0x4a4b4852;
/** Bytes before a frame's payload. */
export const JOURNAL_HEADER_BYTES = 16;
const HEADER_BYTES = JOURNAL_HEADER_BYTES;
const OP_PUT = 1;
const OP_DELETE = 2;

/** One write of a batch; no value: delete. */
export interface JournalOperation {
  readonly key: string;
  readonly value: Buffer | undefined;
}

/** Encodes one frame. */
export function encodeFrame(sequence: number, operations: readonly JournalOperation[]): Buffer {
  let length = HEADER_BYTES;
  for (const { key, value } of operations) length += 5 + key.length + (value === undefined ? 0 : 4 + value.length);
  const frame = Buffer.allocUnsafe(length);
  let at = HEADER_BYTES;
  for (const { key, value } of operations) {
    at = frame.writeUInt8(value === undefined ? OP_DELETE : OP_PUT, at);
    at = frame.writeUInt32LE(key.length, at);
    at += frame.write(key, at, "latin1");
    if (value === undefined) continue;
    at = frame.writeUInt32LE(value.length, at);
    at += value.copy(frame, at);
  }
  frame.writeUInt32LE(MAGIC, 0);
  frame.writeUInt32LE(sequence, 4);
  frame.writeUInt32LE(length - HEADER_BYTES, 8);
  frame.writeUInt32LE(crc32(frame.subarray(HEADER_BYTES), crc32(frame.subarray(4, 12))), 12);
  return frame;
}

/** Length of the frame that begins with `header`, itself included; undefined if it is none. */
export function frameLength(header: Buffer): number | undefined {
  if (header.length < HEADER_BYTES || header.readUInt32LE(0) !== MAGIC) return undefined;
  return HEADER_BYTES + header.readUInt32LE(8);
}

/** Reads the frame at `offset`; undefined if there is no whole, valid one. */
export function decodeFrame(
  bytes: Buffer,
  offset: number,
): { sequence: number; operations: JournalOperation[]; next: number } | undefined {
  if (offset + HEADER_BYTES > bytes.length || bytes.readUInt32LE(offset) !== MAGIC) return undefined;
  const next = offset + HEADER_BYTES + bytes.readUInt32LE(offset + 8);
  if (next > bytes.length) return undefined;
  const payload = bytes.subarray(offset + HEADER_BYTES, next);
  const crc = crc32(payload, crc32(bytes.subarray(offset + 4, offset + 12)));
  if (crc !== bytes.readUInt32LE(offset + 12)) return undefined;
  return { sequence: bytes.readUInt32LE(offset + 4), operations: decodeOperations(payload), next };
}

/** Whether any whole, valid frame stands at or after `offset`: then a bad frame before it is damage, not a torn tail. */
export function hasFrameAfter(bytes: Buffer, offset: number): boolean {
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE(MAGIC, 0);
  for (let at = bytes.indexOf(magic, offset); at !== -1; at = bytes.indexOf(magic, at + 1)) {
    if (decodeFrame(bytes, at) !== undefined) return true;
  }
  return false;
}

function decodeOperations(payload: Buffer): JournalOperation[] {
  const operations: JournalOperation[] = [];
  for (let at = 0; at < payload.length;) {
    const isPut = payload[at] === OP_PUT;
    const keyEnd = at + 5 + payload.readUInt32LE(at + 1);
    const key = toLatin1(payload.subarray(at + 5, keyEnd));
    if (!isPut) {
      operations.push({ key, value: undefined });
      at = keyEnd;
      continue;
    }
    const valueEnd = keyEnd + 4 + payload.readUInt32LE(keyEnd);
    operations.push({ key, value: Buffer.from(payload.subarray(keyEnd + 4, valueEnd)) });
    at = valueEnd;
  }
  return operations;
}
