import { RheaError, type Disk } from "@rhea/common";
import type { EntryType } from "../core/types.js";
import type { LogRecord } from "./api.js";
import { viewOf } from "./byte-io.js";
import {
  findFrameHeaders,
  FRAME_HEADER_BYTES,
  frameEnd,
  isPayloadIntact,
  readLists,
  type FrameGroup,
} from "./frame-codec.js";
import {
  decodeState,
  entryIndexAt,
  ENTRY_OVERHEAD_BYTES,
  entryTermAt,
  entryTypeAt,
  isRecordIntact,
  KIND,
  recordBytesAt,
  recordGroupAt,
  recordKindAt,
} from "./record-codec.js";
import { listSegments, segmentPath } from "./segment-files.js";
import { readSegmentHead } from "./segment-head.js";

/** One record as it stands in its file. */
export interface ReadRecord {
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** Bytes of the record in the file. */
  readonly bytes: number;
  /** 0: the log itself. */
  readonly groupId: number;
  /** `unknown`: of a kind that this version does not know; `damaged`: does not match its checksum, nothing in it counts. */
  readonly kind: keyof typeof KIND | "unknown" | "damaged";
  /** Of an entry. */
  readonly entry?: {
    readonly index: number;
    readonly term: number;
    readonly type: EntryType;
    readonly dataBytes: number;
  };
  /** Of what is no entry: the record as it was appended. */
  readonly state?: LogRecord;
}

/** What stands in the files of a log, in order. */
export type ReadItem =
  | {
      readonly item: "segment";
      readonly path: string;
      readonly bytes: number;
      /** `badTable`: its frames can be read, its table of groups cannot; `bad`: nothing of it can be read. */
      readonly head: "good" | "badTable" | "bad";
      /** Of a good head: groups in its table, and whether its frames were synced one by one. */
      readonly groups?: number;
      readonly isSynced?: boolean;
    }
  | {
      readonly item: "frame";
      readonly path: string;
      readonly offset: number;
      readonly bytes: number;
      readonly sequence: number;
      /** Newest sequence that was durable when it was written. */
      readonly durable: number;
      /** Whether its contents match its checksum. */
      readonly isIntact: boolean;
      /** Its groups with their numbers of records; undefined if both lists are damaged. */
      readonly groups: readonly FrameGroup[] | undefined;
      readonly records: readonly ReadRecord[];
    }
  /** Bytes in which no frame begins, so they are unreadable: damage, or the torn end of a crash. */
  | { readonly item: "gap"; readonly path: string; readonly offset: number; readonly bytes: number };

/**
 * Reads what stands in a log's files, damaged or not, without judging or writing anything. Holds one segment in memory at a time.
 * @throws what the disk throws; RheaError VERSION_UNSUPPORTED for a segment of a newer version.
 */
export async function* readLog(disk: Disk, directory: string): AsyncGenerator<ReadItem, void, undefined> {
  for (const sequence of await listSegments(disk, directory)) {
    const path = segmentPath(directory, sequence);
    const file = await disk.open(path, { create: false });
    let bytes: Buffer;
    try {
      bytes = await file.read(0, await file.size());
    } finally {
      await file.close();
    }
    yield* readSegment(path, bytes);
  }
}

function* readSegment(path: string, bytes: Buffer): Generator<ReadItem, void, undefined> {
  const reading = readSegmentHead(bytes, path);
  const about = { item: "segment", path, bytes: bytes.length, head: reading.state } as const;
  if (reading.state === "bad") {
    yield about;
    return;
  }
  if (reading.state === "good") {
    const { groups, isSynced } = reading.head;
    yield { ...about, groups: groups.length, isSynced };
  } else yield about;
  const { salt } = reading;
  let due = reading.bytes;
  for (const header of findFrameHeaders(bytes, Math.min(reading.bytes, bytes.length), salt)) {
    const { offset, sequence, durable } = header;
    if (offset < due) continue;
    if (offset > due) yield { item: "gap", path, offset: due, bytes: offset - due };
    const end = frameEnd(header);
    const isIntact = isPayloadIntact(bytes, header, salt);
    const groups = readLists(bytes, header, salt);
    const recordsEnd = Math.min(bytes.length, offset + FRAME_HEADER_BYTES + header.recordBytes);
    const records = readRecords(bytes, offset + FRAME_HEADER_BYTES, recordsEnd, salt, isIntact);
    yield { item: "frame", path, offset, bytes: end - offset, sequence, durable, isIntact, groups, records };
    due = Math.min(end, bytes.length);
  }
  if (due < bytes.length) yield { item: "gap", path, offset: due, bytes: bytes.length - due };
}

function readRecords(bytes: Buffer, start: number, end: number, salt: number, isFrameIntact: boolean): ReadRecord[] {
  const view = viewOf(bytes);
  const records: ReadRecord[] = [];
  for (let offset = start; offset + 16 <= end;) {
    const length = recordBytesAt(view, offset);
    if (offset + length > end) break;
    const isGood = isFrameIntact || isRecordIntact(bytes, view, offset, length, salt);
    const place = { offset, bytes: length, groupId: recordGroupAt(view, offset) };
    records.push(isGood ? readRecord(bytes, view, place) : { ...place, kind: "damaged" });
    offset += length;
  }
  return records;
}

function readRecord(
  bytes: Buffer,
  view: DataView,
  place: { offset: number; bytes: number; groupId: number },
): ReadRecord {
  const { offset } = place;
  const number = recordKindAt(view, offset);
  const kinds = Object.entries(KIND) as [keyof typeof KIND, number][];
  const kind = kinds.find(([, each]) => each === number)?.[0] ?? "unknown";
  switch (kind) {
    case "entry":
    case "rewrittenEntry": {
      const [index, term] = [entryIndexAt(view, offset), entryTermAt(view, offset)];
      const dataBytes = place.bytes - ENTRY_OVERHEAD_BYTES;
      return { ...place, kind, entry: { index, term, type: entryTypeAt(view, offset), dataBytes } };
    }
    case "cleanClose":
    case "unknown":
      return { ...place, kind };
    default:
      return { ...place, kind, state: decodeState(bytes, offset).record };
  }
}

/** Finds the size and time of what a running process would change, to notice one. Throws NOT_FOUND where there is no log. */
export async function logFingerprint(disk: Disk, directory: string): Promise<string> {
  const stat = await disk.stat(directory);
  const sequences = stat?.kind === "directory" ? await listSegments(disk, directory) : [];
  if (sequences.length === 0) {
    throw new RheaError("NOT_FOUND", `${directory}: there is no log (no .wal files) in it`);
  }
  const sizes: string[] = [];
  for (const sequence of sequences) {
    const found = await disk.stat(segmentPath(directory, sequence));
    sizes.push(`${sequence}:${found?.size ?? -1}`);
  }
  return sizes.join(" ");
}
