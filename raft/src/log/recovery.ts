import { RheaError, type Disk, type DiskFile, type Logger } from "@rhea/common";
import { markPath, readMark, type Mark, type MarkReading } from "./durable-mark.js";
import { findFrameHeaders } from "./frame-codec.js";
import { refuseLog } from "./damage.js";
import type { GroupTable } from "./group-records.js";
import { Replay } from "./replay.js";
import { keepCut, listSegments, segmentPath } from "./segment-files.js";
import {
  HEAD_BYTES,
  readSegmentHead,
  segmentSalt,
  type HeadReading,
  type LogId,
  type SegmentHead,
} from "./segment-head.js";
import type { Segment, SegmentSet } from "./segment-set.js";

/** What recovery fills and reads. */
export interface RecoveryOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly logger: Logger;
  readonly segments: SegmentSet;
  readonly table: GroupTable;
  /** Told before each segment is replayed: which one, of how many. */
  readonly onRecovering?: ((segment: number, segments: number) => void) | undefined;
}

/** What a directory of segments turned out to hold. */
export interface Recovered {
  /** Undefined for a new log. */
  readonly logId: LogId | undefined;
  readonly nextFrame: number;
  readonly nextSegment: number;
  readonly wasClosedCleanly: boolean;
  /** Highest incarnation that wrote a frame; 0 if none did. */
  readonly newestIncarnation: number;
  /** The durable mark as it was found. */
  readonly mark: MarkReading;
}

interface LoadedSegment {
  readonly sequence: number;
  readonly path: string;
  readonly file: DiskFile;
  readonly bytes: Buffer;
  readonly reading: HeadReading;
}

type GoodSegment = LoadedSegment & { readonly reading: { readonly head: SegmentHead; readonly bytes: number } };

/**
 * Reads all segments, in order, into `segments` and `table`; cuts a torn end and sets a torn newest segment aside, keeping copies.
 * @throws RheaError CORRUPTION (file and offset) when damage cannot be confined to groups; VERSION_UNSUPPORTED; DISK_FAILED when a file cannot be read.
 */
export async function recover(options: RecoveryOptions): Promise<Recovered> {
  const sequences = await listSegments(options.disk, options.directory);
  checkNoGap(options.directory, sequences);
  const mark = await readMark(options.disk, options.directory).catch((cause: unknown) => {
    throw unreadableFile(markPath(options.directory), cause);
  });
  const marked = mark.state === "good" ? mark.mark : undefined;
  if (mark.state === "bad")
    options.logger.log(
      "warn",
      `${markPath(options.directory)}: unreadable, it is written anew; the log itself is not concerned`,
    );
  const newest = sequences.at(-1) ?? 0;
  if (marked !== undefined && newest < marked.segment) {
    throw refuseLog(segmentPath(options.directory, newest + 1), 0, "the segment is missing, the newest of the log");
  }
  const opened: DiskFile[] = [];
  try {
    return { ...(await recoverSegments(options, sequences, marked, opened)), mark };
  } catch (error) {
    for (const file of opened) await file.close();
    throw error;
  }
}

async function recoverSegments(
  options: RecoveryOptions,
  sequences: readonly number[],
  marked: Mark | undefined,
  opened: DiskFile[],
): Promise<Omit<Recovered, "mark">> {
  const { segments, table, logger } = options;
  const markedSegment = marked?.segment ?? 0;
  const markedFrame = marked?.frame ?? 0;
  let segment = await takeGood(options, await startLoading(options, sequences[0], opened), sequences, markedSegment);
  if (segment === undefined) {
    return { logId: undefined, nextFrame: 1, nextSegment: 1, wasClosedCleanly: true, newestIncarnation: 0 };
  }
  const { logId, firstFrame } = segment.reading.head;
  if (marked !== undefined && !isSameLog(marked.logId, logId))
    throw refuseLog(markPath(options.directory), 0, "it belongs to another log than the segments beside it");
  const replay = new Replay(table, logger, firstFrame);
  let newestIncarnation = 0;
  let nextSegment = segment.sequence + 1;
  for (let isOldest = true; segment !== undefined; isOldest = false) {
    const { sequence, path, file, bytes, reading }: GoodSegment = segment;
    options.onRecovering?.(sequences.indexOf(sequence) + 1, sequences.length);
    checkHead(segment, logId, replay.nextFrame);
    const salt = segmentSalt(logId, sequence);
    const counted = segments.add({ sequence, path, salt, file, headBytes: reading.bytes, bytes: bytes.length });
    nextSegment = sequence + 1;
    // Read by another thread while this one is replayed.
    const mayBeTorn = sequence === sequences.at(-1);
    const next = await startLoading(options, mayBeTorn ? undefined : nextSegment, opened);
    replay.head(reading.head.groups, path, isOldest);
    const { isSynced } = reading.head;
    const headBytes = reading.bytes;
    const cut = replay.frames({ sequence, path, salt, headBytes, bytes, mayBeTorn, isSynced, markedFrame });
    if (cut !== undefined) await cutSegment(options, counted, bytes, cut);
    const { incarnation, framesOf } = reading.head;
    const hasFrames = replay.nextFrame > reading.head.firstFrame;
    newestIncarnation = Math.max(newestIncarnation, framesOf, hasFrames ? incarnation : 0);
    segment = await takeGood(options, next, sequences, markedSegment);
    if (segment === undefined && replay.nextFrame <= markedFrame) {
      const found = `the log ends with frame ${replay.nextFrame - 1}`;
      throw refuseLog(path, counted.bytes, `${found}, but frame ${markedFrame} was durable: its end is missing`);
    }
    // What was only written when the process died counts from now on, so it must not vanish any more.
    if (segment === undefined) await file.datasync();
  }
  replay.finish();
  return { logId, nextFrame: replay.nextFrame, nextSegment, wasClosedCleanly: replay.endsClean, newestIncarnation };
}

async function cutSegment(
  { disk, directory, logger }: RecoveryOptions,
  segment: Segment,
  bytes: Buffer,
  offset: number,
): Promise<void> {
  const copy = await keepCut(disk, directory, segment.sequence, offset, bytes.subarray(offset));
  await segment.file?.truncate(offset);
  segment.bytes = offset;
  logger.log(
    "warn",
    `${segment.path}: cut at offset ${offset}, ${bytes.length - offset} bytes of unfinished writes are kept in ${copy}`,
  );
}

interface LoadingSegment {
  readonly sequence: number;
  readonly path: string;
  readonly file: DiskFile;
  readonly reading: Promise<Buffer>;
}

/** Opens a segment and begins to read it. */
async function startLoading(
  { disk, directory }: RecoveryOptions,
  sequence: number | undefined,
  opened: DiskFile[],
): Promise<LoadingSegment | undefined> {
  if (sequence === undefined) return undefined;
  const path = segmentPath(directory, sequence);
  try {
    const file = await disk.open(path, { create: false });
    opened.push(file);
    const reading = file.read(0, await file.size());
    // Looked at by `takeGood`; if the segment before is refused, nobody looks.
    reading.catch(() => undefined);
    return { sequence, path, file, reading };
  } catch (cause) {
    throw unreadableFile(path, cause);
  }
}

/** Waits for a segment and checks its head; a torn one at the end is set aside, and undefined returned. */
async function takeGood(
  options: RecoveryOptions,
  loading: LoadingSegment | undefined,
  sequences: readonly number[],
  markedSegment: number,
): Promise<GoodSegment | undefined> {
  if (loading === undefined) return undefined;
  const { sequence, path, file } = loading;
  const bytes = await loading.reading.catch((cause: unknown) => {
    throw unreadableFile(path, cause);
  });
  const reading = readSegmentHead(bytes, path);
  const loaded = { sequence, path, file, bytes, reading };
  if (reading.state === "good") return { ...loaded, reading };
  const isNewest = sequence === sequences.at(-1);
  const hasPredecessor = sequence === 1 || sequence !== sequences[0];
  const wasDurable = sequence <= markedSegment;
  if (!isNewest || !hasPredecessor || wasDurable || !isHeadOnly(loaded)) {
    throw refuseLog(path, 0, "the head of the segment is damaged");
  }
  await setAside(options, loaded);
  return undefined;
}

function unreadableFile(path: string, cause: unknown): RheaError {
  return new RheaError("DISK_FAILED", `${path}: reading the log failed: check the disk`, { cause });
}

/** Whether a bad head is all that the file holds: nothing was ever written behind it. */
function isHeadOnly({ reading, bytes }: LoadedSegment): boolean {
  if (reading.state === "badTable") return bytes.length <= reading.bytes;
  return !mayHoldFrames(bytes);
}

/** A head that cannot be read hides its salt; so any header that is good under the salt it names itself counts. */
function mayHoldFrames(bytes: Buffer): boolean {
  for (let at = bytes.indexOf("RHFR", 0, "latin1"); at >= 0; at = bytes.indexOf("RHFR", at + 1, "latin1")) {
    if (at + 32 > bytes.length) return false;
    if (at >= HEAD_BYTES && findFrameHeaders(bytes.subarray(0, at + 48), at, bytes.readUInt32LE(at + 28)).length > 0)
      return true;
  }
  return false;
}

async function setAside(
  { disk, directory, logger }: RecoveryOptions,
  { sequence, path, file, bytes }: LoadedSegment,
): Promise<void> {
  await file.close();
  const copy = await keepCut(disk, directory, sequence, 0, bytes);
  await disk.remove(path);
  await disk.syncDir(directory);
  logger.log("warn", `${path}: removed, its head was never finished; its ${bytes.length} bytes are kept in ${copy}`);
}

function checkNoGap(directory: string, sequences: readonly number[]): void {
  sequences.forEach((sequence, i) => {
    const expected = (sequences[0] ?? 0) + i;
    if (sequence !== expected) throw refuseLog(segmentPath(directory, expected), 0, "the segment is missing");
  });
}

function isSameLog(a: LogId, b: LogId): boolean {
  return a.a === b.a && a.b === b.b;
}

function checkHead({ sequence, path, reading }: GoodSegment, logId: LogId, nextFrame: number): void {
  const { head } = reading;
  if (head.sequence !== sequence) throw refuseLog(path, 0, `the file holds segment ${head.sequence}`);
  if (!isSameLog(head.logId, logId)) throw refuseLog(path, 0, "the segment belongs to another log");
  if (head.firstFrame !== nextFrame) {
    throw refuseLog(
      path,
      0,
      `the segment begins with frame ${head.firstFrame} where ${nextFrame} was due: frames are missing before it, or it is stale`,
    );
  }
}
