import { crc32 } from "@rhea/common";
import { ByteReader, getU64, viewOf, type ByteWriter } from "./byte-io.js";

/** Bytes before a frame's records. */
export const FRAME_HEADER_BYTES = 48;

/** A frame is not larger than this unless a single record is. Bytes. */
export const MAX_FRAME_BYTES = 1024 * 1024;

/** Version of frames and segment heads. */
export const FORMAT_VERSION = 1;

const MAGIC = Buffer.from("RHFR", "latin1");
const LIST_ITEM_BYTES = 12;
const LIST_TAIL_BYTES = 20;

/** One group of a frame's list. */
export interface FrameGroup {
  /** The group. */
  readonly groupId: number;
  /** How many of the frame's records are this group's. */
  readonly records: number;
}

/** What a frame's header says; also rebuilt from a list's tail where the header is damaged. */
export interface FrameBounds {
  readonly sequence: number;
  /** Where the frame begins in its file. */
  readonly offset: number;
  readonly recordBytes: number;
  readonly listBytes: number;
}

/** A good header. */
export interface FrameHeader extends FrameBounds {
  readonly version: number;
  /** Newest sequence that was durable when this frame was written. */
  readonly durable: number;
  readonly payloadCrc: number;
}

/** Bytes of one group list. */
export function listBytes(groups: number): number {
  return groups * LIST_ITEM_BYTES + LIST_TAIL_BYTES;
}

/** Offset behind a frame. */
export function frameEnd(frame: FrameBounds): number {
  return frame.offset + FRAME_HEADER_BYTES + frame.recordBytes + 2 * frame.listBytes;
}

/** Appends both copies of the group list; everything of the frame but the header's contents must be in `out` already. */
export function encodeLists(out: ByteWriter, salt: number, sequence: number, groups: readonly FrameGroup[]): void {
  const bytes = listBytes(groups.length);
  const frameBytes = out.length + 2 * bytes;
  const start = out.length;
  out.reserve(2 * bytes);
  for (const group of groups) {
    out.u64(group.groupId);
    out.u32(group.records);
  }
  out.u32(groups.length);
  out.u32(frameBytes);
  out.u64(sequence);
  out.u32(crc32(out.slice(start), salt));
  out.bytes(out.slice(start));
}

/** Sets the header of the frame that `out` holds from its byte 0 on. */
export function setFrameHeader(
  out: ByteWriter,
  salt: number,
  header: { sequence: number; durable: number; offset: number; listBytes: number },
): void {
  const recordBytes = out.length - FRAME_HEADER_BYTES - 2 * header.listBytes;
  out.slice(0, MAGIC.length).set(MAGIC);
  out.setU16(4, FORMAT_VERSION);
  out.setU16(6, 0);
  out.setU64(8, header.sequence);
  out.setU64(16, header.durable);
  out.setU32(24, header.offset);
  out.setU32(28, salt);
  out.setU32(32, recordBytes);
  out.setU32(36, header.listBytes);
  out.setU32(40, crc32(out.slice(FRAME_HEADER_BYTES), salt));
  out.setU32(44, crc32(out.slice(0, 44)));
}

/** Reads the header at `offset` of a segment's bytes; undefined unless a good one stands there. */
export function readFrameHeader(
  segment: Buffer,
  view: DataView,
  offset: number,
  salt: number,
): FrameHeader | undefined {
  if (offset + FRAME_HEADER_BYTES > segment.length) return undefined;
  const bytes = segment.subarray(offset, offset + FRAME_HEADER_BYTES);
  if (MAGIC.compare(bytes, 0, 4) !== 0 || crc32(bytes.subarray(0, 44)) !== view.getUint32(offset + 44, true)) {
    return undefined;
  }
  if (view.getUint32(offset + 24, true) !== offset || view.getUint32(offset + 28, true) !== salt) return undefined;
  return {
    version: view.getUint16(offset + 4, true),
    sequence: getU64(view, offset + 8),
    durable: getU64(view, offset + 16),
    offset,
    recordBytes: view.getUint32(offset + 32, true),
    listBytes: view.getUint32(offset + 36, true),
    payloadCrc: view.getUint32(offset + 40, true),
  };
}

/** Whether everything behind the header is what was written. */
export function isPayloadIntact(segment: Buffer, header: FrameHeader, salt: number): boolean {
  const end = frameEnd(header);
  if (end > segment.length) return false;
  return crc32(segment.subarray(header.offset + FRAME_HEADER_BYTES, end), salt) === header.payloadCrc;
}

/** Returns all good headers that begin at or after `from`, wherever they stand. */
export function findFrameHeaders(segment: Buffer, from: number, salt: number): FrameHeader[] {
  const view = viewOf(segment);
  const found: FrameHeader[] = [];
  for (let at = segment.indexOf(MAGIC, from); at >= 0; at = segment.indexOf(MAGIC, at + 1)) {
    const header = readFrameHeader(segment, view, at, salt);
    if (header !== undefined) found.push(header);
  }
  return found;
}

/** Reads the group list of `frame` from either copy; undefined when both are damaged. */
export function readLists(segment: Buffer, frame: FrameBounds, salt: number): FrameGroup[] | undefined {
  const end = frameEnd(frame);
  if (end > segment.length) return undefined;
  for (const listEnd of [end - frame.listBytes, end]) {
    const tail = readListTail(segment, listEnd, frame.offset + FRAME_HEADER_BYTES, salt);
    if (tail !== undefined && tail.sequence === frame.sequence && tail.listBytes === frame.listBytes) {
      return readListItems(segment, listEnd - tail.listBytes, tail.groups);
    }
  }
  return undefined;
}

/** Finds the frame that ends at `end` by its second list; undefined unless that list is good and the frame begins at or after `start`. */
export function readFrameBackward(segment: Buffer, start: number, end: number, salt: number): FrameBounds | undefined {
  const tail = readListTail(segment, end, start + FRAME_HEADER_BYTES, salt);
  if (tail === undefined) return undefined;
  const offset = end - tail.frameBytes;
  const recordBytes = tail.frameBytes - FRAME_HEADER_BYTES - 2 * tail.listBytes;
  if (offset < start || recordBytes < 0) return undefined;
  return { sequence: tail.sequence, offset, recordBytes, listBytes: tail.listBytes };
}

interface ListTail {
  readonly groups: number;
  readonly listBytes: number;
  readonly frameBytes: number;
  readonly sequence: number;
}

function readListTail(segment: Buffer, listEnd: number, floor: number, salt: number): ListTail | undefined {
  const tailStart = listEnd - LIST_TAIL_BYTES;
  if (tailStart < floor || listEnd > segment.length) return undefined;
  const tail = new ByteReader(segment, tailStart, listEnd);
  const groups = tail.u32();
  const frameBytes = tail.u32();
  const sequence = tail.u64();
  const bytes = listBytes(groups);
  if (listEnd - bytes < floor || crc32(segment.subarray(listEnd - bytes, listEnd - 4), salt) !== tail.u32())
    return undefined;
  return { groups, listBytes: bytes, frameBytes, sequence };
}

function readListItems(segment: Buffer, start: number, groups: number): FrameGroup[] {
  const items = new ByteReader(segment, start, start + groups * LIST_ITEM_BYTES);
  return Array.from({ length: groups }, () => ({ groupId: items.u64(), records: items.u32() }));
}
