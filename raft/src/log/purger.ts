import { RheaError, type Disk, type Logger } from "@rhea/common";
import type { Entry } from "../core/types.js";
import type { FramePipeline } from "./frame-pipeline.js";
import type { GroupTable } from "./group-records.js";
import type { GroupState } from "./group-state.js";
import type { Segment, SegmentSet } from "./segment-set.js";

/** Dead bytes that are always tolerated, in segments. */
const TOLERATED_DEAD_SEGMENTS = 4;

/** Segments that are always tolerated: a process that keeps crashing leaves many small ones. */
const TOLERATED_SEGMENTS = 64;

/** Bytes rewritten before waiting for the disk: bounds what foreground appends queue behind. */
const REWRITE_BATCH_BYTES = 512 * 1024;

/** What the purger needs. */
export interface PurgerOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly logger: Logger;
  readonly segments: SegmentSet;
  readonly table: GroupTable;
  readonly pipeline: FramePipeline;
  readonly segmentBytes: number;
  /** Appends live entries again, at their indexes, without waiting. */
  rewrite(group: GroupState, entries: readonly Entry[]): void;
}

/**
 * Removes segments in which nothing is live, oldest first, and rewrites the oldest's live entries when dead bytes pile up behind it.
 * Runs in the background, one thing at a time.
 */
export class Purger {
  removedSegments = 0;
  rewrittenBytes = 0;
  readonly #options: PurgerOptions;
  #running: Promise<void> | undefined;
  #isStopped = false;
  /** Newest segment when rewriting was last considered: once per new segment is enough. */
  #consideredAt = 0;
  /** A segment that could not be rewritten because an entry in it is damaged. It stays until its groups are truncated. */
  #unreadable = 0;

  constructor(options: PurgerOptions) {
    this.#options = options;
  }

  /** Looks for work; cheap when there is none. Called whenever more became durable. */
  check(): void {
    const { segments, pipeline } = this.#options;
    if (this.#running !== undefined || this.#isStopped || pipeline.failure !== undefined) return;
    if (this.#removable() === undefined && segments.newest().sequence === this.#consideredAt) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Ends after the step in hand. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const { segments, pipeline } = this.#options;
    try {
      await this.#removeAll();
      this.#consideredAt = segments.newest().sequence;
      for (let rounds = segments.all().length; rounds > 0 && this.#isGoing(); rounds--) {
        const oldest = this.#toRewrite();
        if (oldest === undefined) break;
        await this.#rewriteSegment(oldest);
        await this.#removeAll();
      }
    } catch (cause) {
      if (pipeline.failure !== undefined) return;
      const reason = cause instanceof Error ? cause.message : String(cause);
      pipeline.fail(
        new RheaError("DISK_FAILED", `log: removing old segments failed (${reason}): the process stops`, { cause }),
      );
    }
  }

  #isGoing(): boolean {
    return !this.#isStopped && this.#options.pipeline.failure === undefined;
  }

  #removable(): Segment | undefined {
    const { segments, pipeline } = this.#options;
    const [oldest, second] = segments.all();
    if (oldest === undefined || second?.file === undefined || oldest.liveEntries > 0) return undefined;
    return oldest.deadSince <= pipeline.durableSequence ? oldest : undefined;
  }

  async #removeAll(): Promise<void> {
    const { disk, directory, segments } = this.#options;
    for (let oldest = this.#removable(); oldest !== undefined && this.#isGoing(); oldest = this.#removable()) {
      segments.removeOldest();
      await oldest.file?.close();
      await disk.remove(oldest.path);
      // Before the next is removed: names must vanish oldest first, a gap would refuse the log.
      await disk.syncDir(directory);
      this.removedSegments++;
    }
  }

  #toRewrite(): Segment | undefined {
    const { segments, segmentBytes } = this.#options;
    const [oldest, second] = segments.all();
    if (oldest === undefined || second?.file === undefined) return undefined;
    if (oldest.liveEntries === 0 || oldest.sequence === this.#unreadable) return undefined;
    const isWasteful = segments.deadBytes() > Math.max(TOLERATED_DEAD_SEGMENTS * segmentBytes, segments.liveBytes);
    const isScattered = segments.all().length > TOLERATED_SEGMENTS + (2 * segments.fileBytes()) / segmentBytes;
    return isWasteful || isScattered ? oldest : undefined;
  }

  async #rewriteSegment(segment: Segment): Promise<void> {
    const { table, pipeline } = this.#options;
    let batched = 0;
    for (const group of table.all()) {
      let next = group.index.first;
      while (this.#isGoing() && segment.liveEntries > 0 && segment.sequence !== this.#unreadable) {
        const run = nextRun(group, next, segment.sequence);
        if (run === undefined) break;
        next = run.end;
        batched += this.#rewriteRun(segment, group, run);
        if (batched < REWRITE_BATCH_BYTES) continue;
        batched = 0;
        await pipeline.whenDurable();
        next = Math.max(next, group.index.first);
      }
    }
    await pipeline.whenDurable();
  }

  #rewriteRun(segment: Segment, group: GroupState, run: Run): number {
    let entries: Entry[];
    try {
      entries = group.entries(run.start, run.end, Number.MAX_SAFE_INTEGER);
    } catch (error) {
      if (!(error instanceof RheaError) || error.code !== "CORRUPTION") throw error;
      this.#unreadable = segment.sequence;
      this.#options.logger.log(
        "error",
        `${error.message} (the segment is kept until the group is truncated or destroyed)`,
        {
          groupId: group.groupId,
        },
      );
      return 0;
    }
    this.#options.rewrite(group, entries);
    this.rewrittenBytes += run.bytes;
    return run.bytes;
  }
}

/** Indexes [start, end) of a group whose records are in one segment. */
interface Run {
  readonly start: number;
  readonly end: number;
  readonly bytes: number;
}

function nextRun(group: GroupState, from: number, segment: number): Run | undefined {
  const { index } = group;
  let start = from;
  while (start <= index.last && index.segment(start) !== segment) start++;
  if (start > index.last) return undefined;
  let end = start;
  let bytes = 0;
  while (end <= index.last && index.segment(end) === segment && bytes < REWRITE_BATCH_BYTES)
    bytes += index.length(end++);
  return { start, end, bytes };
}
