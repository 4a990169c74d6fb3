import { RheaError, type Disk, type DiskFile, type Logger } from "@rhea/common";
import { viewOf } from "./byte-io.js";
import { findFrameHeaders, FRAME_HEADER_BYTES, isPayloadIntact, readLists, type FrameGroup } from "./frame-codec.js";
import { GroupTable } from "./group-records.js";
import { recordBytesAt, recordKindAt } from "./record-codec.js";
import { recover } from "./recovery.js";
import { listSegments, segmentPath } from "./segment-files.js";
import { readSegmentHead, type GroupSummary } from "./segment-head.js";
import { SegmentSet } from "./segment-set.js";

/** One frame as it stands in its file. */
export interface InspectedFrame {
  /** Its segment file. */
  readonly path: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** Number of the frame. */
  readonly sequence: number;
  /** Newest sequence that was durable when it was written. */
  readonly durable: number;
  /** Whether its contents match its checksum. */
  readonly isIntact: boolean;
  /** Its groups with their numbers of records; undefined if both lists are damaged. */
  readonly groups: readonly FrameGroup[] | undefined;
  /** Kinds of its records, in order, as numbered in docs/design/0001-formats.md; empty unless it is intact. */
  readonly kinds: readonly number[];
}

/** What the next open would make of a log. */
export interface LogInspection {
  /** The segment files, in order. */
  readonly segments: number;
  /** Why the whole log would be refused; undefined if it would not. */
  readonly refusal: RheaError | undefined;
  /** Everything recovery would say: what it would cut and condemn, and why. Empty for a healthy log. */
  readonly findings: readonly string[];
  /** State of every group after recovery, by id; empty if the log would be refused. */
  readonly groups: readonly GroupSummary[];
  /** Whether the process that wrote it closed it in order. */
  readonly wasClosedCleanly: boolean;
}

/**
 * Judges the log of a stopped process exactly as the next open would, without writing anything. `onFrame` is called for every frame with a
 * good header, in order, for dumps.
 * @throws what the disk throws when the directory cannot be read.
 */
export async function inspectLog(
  disk: Disk,
  directory: string,
  onFrame?: (frame: InspectedFrame) => void,
): Promise<LogInspection> {
  const sequences = await listSegments(disk, directory);
  if (onFrame !== undefined) {
    for (const sequence of sequences) await dumpSegment(disk, segmentPath(directory, sequence), onFrame);
  }
  const findings: string[] = [];
  const segments = new SegmentSet();
  const reader = {
    readSync: (sequence: number, offset: number, length: number): Buffer => {
      const { file, path } = segments.get(sequence);
      if (file === undefined) throw new RheaError("INTERNAL", `${path} is not open`);
      return file.readSync(offset, length);
    },
  };
  const table = new GroupTable({ segments, reader });
  const judged = { segments: sequences.length, findings };
  try {
    const logger = collect(findings);
    const recovered = await recover({ disk: withoutWrites(disk), directory, logger, segments, table });
    const groups = [...table.all()].map((group) => group.summary()).sort((a, b) => a.groupId - b.groupId);
    return { ...judged, refusal: undefined, groups, wasClosedCleanly: recovered.wasClosedCleanly };
  } catch (error) {
    return { ...judged, refusal: RheaError.from(error), groups: [], wasClosedCleanly: false };
  } finally {
    for (const segment of segments.all()) await segment.file?.close();
  }
}

async function dumpSegment(disk: Disk, path: string, onFrame: (frame: InspectedFrame) => void): Promise<void> {
  const file = await disk.open(path, { create: false });
  try {
    const bytes = await file.read(0, await file.size());
    const reading = readSegmentHead(bytes, path);
    if (reading.state === "bad") return;
    const view = viewOf(bytes);
    for (const header of findFrameHeaders(bytes, reading.bytes, reading.salt)) {
      const isIntact = isPayloadIntact(bytes, header, reading.salt);
      const kinds: number[] = [];
      const end = header.offset + FRAME_HEADER_BYTES + header.recordBytes;
      for (let at = header.offset + FRAME_HEADER_BYTES; isIntact && at < end; at += recordBytesAt(view, at)) {
        kinds.push(recordKindAt(view, at));
      }
      const { offset, sequence, durable } = header;
      onFrame({ path, offset, sequence, durable, isIntact, groups: readLists(bytes, header, reading.salt), kinds });
    }
  } finally {
    await file.close();
  }
}

function collect(findings: string[]): Logger {
  const logger: Logger = {
    isEnabled: () => true,
    log: (_level, message) => findings.push(message),
    child: () => logger,
  };
  return logger;
}

/** The same disk to readers; whatever would change it does nothing. */
function withoutWrites(disk: Disk): Disk {
  const nothing = async (): Promise<void> => undefined;
  const frozen = (file: DiskFile): DiskFile => ({
    read: (offset, length) => file.read(offset, length),
    readSync: (offset, length) => file.readSync(offset, length),
    size: () => file.size(),
    close: () => file.close(),
    write: nothing,
    datasync: nothing,
    truncate: nothing,
  });
  const scratch: DiskFile = {
    read: async () => Buffer.alloc(0),
    readSync: () => Buffer.alloc(0),
    size: async () => 0,
    close: nothing,
    write: nothing,
    datasync: nothing,
    truncate: nothing,
  };
  return {
    open: async (path, options) => (options.create ? scratch : frozen(await disk.open(path, options))),
    stat: (path) => disk.stat(path),
    list: (path) => disk.list(path),
    space: (path) => disk.space(path),
    mkdir: nothing,
    rename: nothing,
    remove: nothing,
    removeTree: nothing,
    syncDir: nothing,
  };
}
