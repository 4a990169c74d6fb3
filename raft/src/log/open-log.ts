import { asBuffer, crc32, invariant, RheaError } from "@rhea/common";
import type { LogOptions, RaftLog } from "./api.js";
import { markPath, openDurableMark, type DurableMark } from "./durable-mark.js";
import { EntryCache } from "./entry-cache.js";
import { FramePipeline } from "./frame-pipeline.js";
import { GroupTable } from "./group-records.js";
import { Purger } from "./purger.js";
import { recover, type Recovered } from "./recovery.js";
import { createSegmentFile, segmentPath } from "./segment-files.js";
import { encodeSegmentHead, segmentSalt, type GroupSummary, type LogId } from "./segment-head.js";
import { SegmentSet, type Segment } from "./segment-set.js";
import { putRewritten, WriteAheadLog } from "./write-ahead-log.js";

const DEFAULT_SEGMENT_BYTES = 64 * 1024 * 1024;
const MAX_SEGMENT_BYTES = 1024 * 1024 * 1024;
const DEFAULT_CACHE_BYTES = 64 * 1024 * 1024;

/**
 * Opens a process's log, recovering what earlier processes wrote, and begins a new segment. One process at a time: the caller holds the
 * directory's lock. Condemned groups are among `groups()`; the caller must look at each group's lifecycle before it starts it.
 * @throws RheaError CORRUPTION naming file and offset when damage cannot be confined to groups (the store is refused);
 * VERSION_UNSUPPORTED for newer formats; DISK_FAILED when the disk refuses to read or write.
 */
export async function openLog(options: LogOptions): Promise<RaftLog> {
  const { disk, directory, clock, logger, segmentBytes = DEFAULT_SEGMENT_BYTES } = options;
  invariant(
    segmentBytes >= 1 && segmentBytes <= MAX_SEGMENT_BYTES,
    `segmentBytes ${segmentBytes}: must be in 1..${MAX_SEGMENT_BYTES}`,
  );
  const isSynced = options.sync !== false;
  if (!isSynced) {
    logger.log(
      "warn",
      `log ${directory} is opened with sync: false: if this machine dies, acknowledged entries and votes of its last seconds may be lost, and with ` +
        "several such machines committed data; if only the process dies, nothing is",
    );
  }
  const segments = new SegmentSet();
  let mark: DurableMark | undefined;
  // The pipeline comes after recovery; nothing is read from segments before.
  let pipeline: FramePipeline | undefined;
  const reader = {
    readSync: (segment: number, offset: number, length: number): Buffer => {
      invariant(pipeline !== undefined, "the log is read before it is open");
      return pipeline.readSync(segment, offset, length);
    },
  };
  const table = new GroupTable({ segments, reader });
  try {
    await disk.mkdir(directory);
    const recovered = await recover({ disk, directory, logger, segments, table, onRecovering: options.onRecovering });
    const logId = recovered.logId ?? newLogId(directory, clock.wallMs());
    const planSegment = segmentPlanner(options, recovered, logId, segments, table);
    const { segment, head } = planSegment(recovered.nextFrame);
    segment.file = await createSegmentFile(disk, directory, segment.path, head);
    mark = await openDurableMark({
      ...{ disk, directory, clock, reading: recovered.mark },
      mark: { logId, segment: segment.sequence, frame: recovered.nextFrame - 1 },
      onFailed: (cause) => pipeline?.fail(markFailed(directory, cause)),
    });
    pipeline = new FramePipeline({
      disk,
      directory,
      clock,
      segments,
      segmentBytes,
      isSynced,
      mark,
      nextFrame: recovered.nextFrame,
      planSegment,
      onProgress: () => purger.check(),
      onFailed: options.onFailed,
    });
    const opened = pipeline;
    const purger = new Purger({
      ...{ disk, directory, logger, segments, table, pipeline, segmentBytes },
      rewrite: (group, entries) => putRewritten(opened, group, entries),
    });
    purger.check();
    logOpened(options, recovered, segments, table);
    const cache = new EntryCache(options.cacheBytes ?? DEFAULT_CACHE_BYTES);
    const { wasClosedCleanly, newestIncarnation } = recovered;
    const parts = { clock, segments, table, cache, pipeline, purger, mark, isSynced };
    return new WriteAheadLog({ ...parts, wasClosedCleanly, newestIncarnation });
  } catch (cause) {
    await mark?.close();
    for (const segment of segments.all()) await segment.file?.close();
    if (cause instanceof RheaError) throw cause;
    throw new RheaError("DISK_FAILED", `${directory}: opening the log failed: check the disk`, { cause });
  }
}

/** Returns what begins segment after segment: their heads tell the state at the time of the call. */
function segmentPlanner(
  { directory, incarnation = 0, sync }: LogOptions,
  recovered: Recovered,
  logId: LogId,
  segments: SegmentSet,
  table: GroupTable,
): (firstFrame: number) => { segment: Segment; head: Buffer } {
  const isSynced = sync !== false;
  let sequence = recovered.nextSegment;
  return (firstFrame) => {
    const framesOf = firstFrame === recovered.nextFrame ? recovered.newestIncarnation : incarnation;
    const fixed = { sequence, firstFrame, logId, incarnation, framesOf, isSynced };
    const head = encodeSegmentHead({ ...fixed, groups: summaries(table) });
    const place = { sequence, path: segmentPath(directory, sequence), salt: segmentSalt(logId, sequence) };
    sequence++;
    return { segment: segments.add({ ...place, file: undefined, headBytes: head.length, bytes: head.length }), head };
  };
}

function markFailed(directory: string, cause: unknown): RheaError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const what = `log: writing ${markPath(directory)} failed (${reason})`;
  return new RheaError("DISK_FAILED", `${what}: the process stops; check the disk before it starts again`, { cause });
}

function* summaries(table: GroupTable): Generator<GroupSummary> {
  for (const group of table.all()) yield group.summary();
}

/** Different for logs made at different times or places; only has to tell a foreign segment from an own one. */
function newLogId(directory: string, wallMs: number): LogId {
  const text = `${directory} ${wallMs}`;
  const a = crc32(asBuffer(Buffer.from(text, "utf8")));
  return { a, b: crc32(Buffer.from(text, "utf8"), a) };
}

function logOpened(
  { logger, directory }: LogOptions,
  recovered: Recovered,
  segments: SegmentSet,
  table: GroupTable,
): void {
  if (!logger.isEnabled("info")) return;
  let condemned = 0;
  for (const group of table.all()) if (group.lifecycle.state === "condemned") condemned++;
  logger.log("info", `log ${directory} is open`, {
    segments: segments.all().length,
    fileBytes: segments.fileBytes(),
    liveBytes: segments.liveBytes,
    condemnedGroups: condemned,
    nextFrame: recovered.nextFrame,
    wasClosedCleanly: recovered.wasClosedCleanly,
  });
}
