import { RheaError } from "@rhea/common";
import { viewOf } from "./byte-io.js";
import {
  FRAME_HEADER_BYTES,
  frameEnd,
  readFrameBackward,
  readFrameHeader,
  readLists,
  type FrameBounds,
  type FrameHeader,
} from "./frame-codec.js";
import { isRecordIntact, recordBytesAt, recordGroupAt, RECORD_HEADER_BYTES } from "./record-codec.js";

/** Where no good frame stands although one was due. */
export interface BadPlace {
  /** All bytes of the segment. */
  readonly segment: Buffer;
  readonly salt: number;
  readonly path: string;
  readonly offset: number;
  /** The sequence that was due. */
  readonly sequence: number;
  /** Newest frame that the mark beside the log says was durable; 0 if there is none. */
  readonly markedFrame: number;
  /** Whether at most two frames of the segment were in flight at a time. */
  readonly isSynced: boolean;
  /** Good headers further on in the segment, of later sequences, by offset. */
  readonly later: readonly FrameHeader[];
}

/**
 * Whether a crash in the middle of the last writes explains a bad place of the newest segment: at most two frames were in flight, so frame
 * k+1 may be there, but it cannot say that k was durable and nothing can stand behind it. Then everything from the place on may be cut. Where
 * frames were not synced, any number may be missing.
 */
export function isTorn(place: BadPlace): boolean {
  const { segment, salt, offset, sequence } = place;
  if (sequence <= place.markedFrame) return false;
  if (!place.isSynced) return place.later.every((frame) => frame.durable < sequence);
  const last = readFrameBackward(segment, offset, segment.length, salt);
  if (last !== undefined && last.sequence > sequence + 1) return false;
  return place.later.every(
    (frame) => frame.sequence === sequence + 1 && frame.durable < sequence && frameEnd(frame) >= segment.length,
  );
}

/** What is left of a damaged frame. */
export interface Salvage {
  /** Offsets of its intact records. */
  readonly records: readonly number[];
  /** Groups that miss at least one of their records. */
  readonly lostGroups: readonly number[];
}

/**
 * Accounts for every frame from a bad place up to `end`, where the frame `endSequence` (undefined: not known) begins: headers are followed
 * forward, lists backward.
 * @throws RheaError CORRUPTION when a frame in between cannot be bounded: any group may have been in it.
 */
export function boundDamage(place: BadPlace, end: number, endSequence: number | undefined): FrameBounds[] {
  const { segment, salt } = place;
  const view = viewOf(segment);
  const frames: FrameBounds[] = [];
  let start = place.offset;
  for (;;) {
    const header = readFrameHeader(segment, view, start, salt);
    if (header === undefined || frameEnd(header) > end) break;
    frames.push(header);
    start = frameEnd(header);
  }
  const fromEnd: FrameBounds[] = [];
  for (let tail = end; tail > start;) {
    const frame = readFrameBackward(segment, start, tail, salt);
    if (frame === undefined) throw unreadable(place, start, "its header and its group lists are unreadable");
    fromEnd.push(frame);
    tail = frame.offset;
  }
  frames.push(...fromEnd.reverse());
  frames.forEach((frame, i) => {
    if (frame.sequence === place.sequence + i) return;
    throw unreadable(place, frame.offset, `frame ${frame.sequence} stands where ${place.sequence + i} was due`);
  });
  if (endSequence !== undefined && place.sequence + frames.length !== endSequence) {
    throw unreadable(
      place,
      end,
      `the log goes on with frame ${endSequence} where ${place.sequence + frames.length} was due`,
    );
  }
  return frames;
}

/**
 * Finds out which records of a damaged frame are good and which groups miss one. A record that also stands elsewhere in the segment does not count:
 * nothing in it says where it belongs, so it may be the copy of a block that a disk wrote to the wrong place. `frames` are all frames of the segment that could
 * be bounded.
 * @throws RheaError CORRUPTION when both group lists are damaged.
 */
export function salvageFrame(place: BadPlace, frame: FrameBounds, frames: readonly FrameBounds[]): Salvage {
  const { segment, salt } = place;
  const listed = readLists(segment, frame, salt);
  if (listed === undefined) throw unreadable(place, frame.offset, "both of its group lists are unreadable");
  const view = viewOf(segment);
  const intact = recordOffsets(view, frame).filter((offset) =>
    isRecordIntact(segment, view, offset, recordBytesAt(view, offset), salt),
  );
  const copied = copiesAmong(segment, intact, frames);
  const records = intact.filter((offset) => !copied.has(offset));
  const found = new Map<number, number>();
  for (const offset of records) {
    const groupId = recordGroupAt(view, offset);
    found.set(groupId, (found.get(groupId) ?? 0) + 1);
  }
  const lost = listed.filter((group) => (found.get(group.groupId) ?? 0) < group.records);
  return { records, lostGroups: lost.map((group) => group.groupId) };
}

/** Where the records of a frame begin, as far as their lengths can be followed. */
function recordOffsets(view: DataView, frame: FrameBounds): number[] {
  const offsets: number[] = [];
  const end = Math.min(frame.offset + FRAME_HEADER_BYTES + frame.recordBytes, view.byteLength);
  let offset = frame.offset + FRAME_HEADER_BYTES;
  while (offset + RECORD_HEADER_BYTES <= end) {
    const length = recordBytesAt(view, offset);
    if (offset + length > end) break;
    offsets.push(offset);
    offset += length;
  }
  return offsets;
}

/** Those of some records whose bytes are a record at another place too. */
function copiesAmong(segment: Buffer, records: readonly number[], frames: readonly FrameBounds[]): Set<number> {
  const view = viewOf(segment);
  const byCrc = new Map<number, number[]>();
  for (const offset of records) {
    const crc = view.getUint32(offset, true);
    byCrc.set(crc, [...(byCrc.get(crc) ?? []), offset]);
  }
  const copied = new Set<number>();
  for (const other of frames.flatMap((frame) => recordOffsets(view, frame))) {
    const length = recordBytesAt(view, other);
    const alike = (offset: number): boolean =>
      offset !== other && segment.compare(segment, other, other + length, offset, offset + length) === 0;
    for (const offset of byCrc.get(view.getUint32(other, true)) ?? []) if (alike(offset)) copied.add(offset);
  }
  return copied;
}

/** Builds the error that refuses the whole log. */
export function refuseLog(path: string, offset: number, what: string): RheaError {
  return new RheaError(
    "CORRUPTION",
    `${path} offset ${offset}: ${what}: this log cannot be used, any group may have lost a vote or an entry; replace the store (a new name, an empty disk) and remove this one`,
    { details: { file: path, offset } },
  );
}

function unreadable(place: BadPlace, offset: number, why: string): RheaError {
  return refuseLog(place.path, offset, `frame ${place.sequence} (or one soon after it) is damaged and ${why}`);
}
