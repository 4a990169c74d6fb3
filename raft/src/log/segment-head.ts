import { crc32, RheaError } from "@rhea/common";
import type { HardState } from "../core/types.js";
import type { GroupLifecycle, PendingInstall } from "./api.js";
import { ByteReader, ByteWriter } from "./byte-io.js";
import { FORMAT_VERSION } from "./frame-codec.js";
import { decodeHardState, decodeInstall, encodeHardState, encodeInstall } from "./record-codec.js";

/** Bytes of a head before its table. */
export const HEAD_BYTES = 64;

const MAGIC = 0x47534852;
const FLAG_UNSYNCED = 1;
const STATE_LIVE = 1;
const STATE_DESTROYED = 2;
const STATE_CONDEMNED = 3;

/** Names a log for good, so that a segment of another one is noticed. Two 32-bit numbers. */
export interface LogId {
  readonly a: number;
  readonly b: number;
}

/** One group as the table of a head has it: everything but the entries. */
export interface GroupSummary {
  /** The group. */
  readonly groupId: number;
  /** Where it is in its life. */
  readonly lifecycle: GroupLifecycle;
  /** Its term, vote and commit index. */
  readonly hardState: HardState;
  /** Its log begins after this index. */
  readonly truncatedIndex: number;
  /** Term of the entry there. */
  readonly truncatedTerm: number;
  /** Last index of its log. */
  readonly lastIndex: number;
  /** A snapshot install that is not finished. */
  readonly pendingInstall: PendingInstall | undefined;
}

/** Where a segment begins. */
export interface SegmentHead {
  readonly sequence: number;
  /** Sequence of its first frame. */
  readonly firstFrame: number;
  readonly logId: LogId;
  /** Incarnation of the process that began it; 0 if it was not told. */
  readonly incarnation: number;
  /** Highest incarnation that wrote a frame of an earlier segment; 0 if none did. */
  readonly framesOf: number;
  /** False: its frames were not synced one by one, so a crash may have lost any number of the last ones. */
  readonly isSynced: boolean;
  readonly groups: readonly GroupSummary[];
}

/** Seed of the CRCs inside a segment: bytes of another segment never pass for this one's. */
export function segmentSalt(logId: LogId, sequence: number): number {
  const out = new ByteWriter(16);
  out.u32(logId.a);
  out.u32(logId.b);
  out.u64(sequence);
  return crc32(out.slice());
}

/** Encodes a whole head. */
export function encodeSegmentHead(head: {
  readonly sequence: number;
  readonly firstFrame: number;
  readonly logId: LogId;
  readonly incarnation: number;
  readonly framesOf: number;
  readonly isSynced: boolean;
  readonly groups: Iterable<GroupSummary>;
}): Buffer {
  const out = new ByteWriter(4096);
  out.skip(HEAD_BYTES);
  let groups = 0;
  for (const group of head.groups) {
    encodeGroup(out, group);
    groups++;
  }
  out.setU32(0, MAGIC);
  out.setU16(4, FORMAT_VERSION);
  out.setU16(6, head.isSynced ? 0 : FLAG_UNSYNCED);
  out.setU64(8, head.sequence);
  out.setU64(16, head.firstFrame);
  out.setU32(24, head.logId.a);
  out.setU32(28, head.logId.b);
  out.setU64(32, head.incarnation);
  out.setU64(40, head.framesOf);
  out.setU32(48, groups);
  out.setU32(52, out.length - HEAD_BYTES);
  out.setU32(56, crc32(out.slice(HEAD_BYTES), segmentSalt(head.logId, head.sequence)));
  out.setU32(60, crc32(out.slice(0, 60)));
  return out.slice();
}

/** A head as read: `bytes` long, frames follow. `intact` false: the fixed part is good, the table is not. */
export type HeadReading =
  | { readonly state: "good"; readonly head: SegmentHead; readonly bytes: number; readonly salt: number }
  /** The fixed part is good and tells how long the head should be; the table is missing or damaged. */
  | { readonly state: "badTable"; readonly bytes: number; readonly salt: number }
  | { readonly state: "bad" };

/**
 * Reads the head at the start of a segment's bytes.
 * @throws RheaError VERSION_UNSUPPORTED for an intact head of an unknown version.
 */
export function readSegmentHead(segment: Buffer, path: string): HeadReading {
  if (segment.length < HEAD_BYTES) return { state: "bad" };
  const fixed = new ByteReader(segment, 0, HEAD_BYTES);
  if (fixed.u32() !== MAGIC) return { state: "bad" };
  const version = fixed.u16();
  const isSynced = (fixed.u16() & FLAG_UNSYNCED) === 0;
  const sequence = fixed.u64();
  const firstFrame = fixed.u64();
  const logId = { a: fixed.u32(), b: fixed.u32() };
  const incarnation = fixed.u64();
  const framesOf = fixed.u64();
  const count = fixed.u32();
  const tableBytes = fixed.u32();
  const tableCrc = fixed.u32();
  if (fixed.u32() !== crc32(segment.subarray(0, HEAD_BYTES - 4))) return { state: "bad" };
  if (version !== FORMAT_VERSION) throw unsupportedVersion(path, 0, version);
  const bytes = HEAD_BYTES + tableBytes;
  const salt = segmentSalt(logId, sequence);
  if (bytes > segment.length || crc32(segment.subarray(HEAD_BYTES, bytes), salt) !== tableCrc) {
    return { state: "badTable", bytes, salt };
  }
  const table = new ByteReader(segment, HEAD_BYTES, bytes);
  const groups = Array.from({ length: count }, () => decodeGroup(table));
  const head = { sequence, firstFrame, logId, incarnation, framesOf, isSynced, groups };
  return { state: "good", head, bytes, salt };
}

/** Builds the error for bytes whose CRC is right and whose version is unknown. */
export function unsupportedVersion(path: string, offset: number, version: number): RheaError {
  return new RheaError(
    "VERSION_UNSUPPORTED",
    `${path} offset ${offset}: format version ${version} is unknown, this build writes ${FORMAT_VERSION}: start the version that wrote it`,
    { details: { file: path, offset } },
  );
}

function encodeGroup(out: ByteWriter, group: GroupSummary): void {
  const { lifecycle } = group;
  out.u64(group.groupId);
  out.u64(lifecycle.peerId);
  out.u8(stateNumber(lifecycle));
  encodeHardState(out, group.hardState);
  out.u64(group.truncatedIndex);
  out.u64(group.truncatedTerm);
  out.u64(group.lastIndex);
  if (lifecycle.state === "destroyed") {
    out.u64(lifecycle.confVer);
    out.u64(lifecycle.version);
  } else if (lifecycle.state === "condemned") {
    out.text(lifecycle.reason);
  }
  out.u8(group.pendingInstall === undefined ? 0 : 1);
  if (group.pendingInstall !== undefined) encodeInstall(out, group.pendingInstall);
}

function stateNumber(lifecycle: GroupLifecycle): number {
  switch (lifecycle.state) {
    case "live":
      return STATE_LIVE;
    case "destroyed":
      return STATE_DESTROYED;
    case "condemned":
      return STATE_CONDEMNED;
  }
}

function decodeGroup(table: ByteReader): GroupSummary {
  const groupId = table.u64();
  const peerId = table.u64();
  const state = table.u8();
  const hardState = decodeHardState(table);
  const truncatedIndex = table.u64();
  const truncatedTerm = table.u64();
  const lastIndex = table.u64();
  const lifecycle = decodeLifecycle(table, state, peerId);
  const pendingInstall = table.u8() === 1 ? decodeInstall(table) : undefined;
  return { groupId, lifecycle, hardState, truncatedIndex, truncatedTerm, lastIndex, pendingInstall };
}

function decodeLifecycle(table: ByteReader, state: number, peerId: number): GroupLifecycle {
  switch (state) {
    case STATE_LIVE:
      return { state: "live", peerId };
    case STATE_DESTROYED:
      return { state: "destroyed", peerId, confVer: table.u64(), version: table.u64() };
    case STATE_CONDEMNED:
      return { state: "condemned", peerId, reason: table.text() };
    default:
      throw new RangeError(`group lifecycle ${state} in a segment head is unknown`);
  }
}
