import { RheaError, type Clock } from "@rhea/common";
import type { Entry } from "../core/types.js";
import type { GroupLog, LogRecord, LogStats, RaftLog } from "./api.js";
import type { DurableMark } from "./durable-mark.js";
import type { EntryCache } from "./entry-cache.js";
import type { FramePipeline } from "./frame-pipeline.js";
import { checkRecord, type GroupTable } from "./group-records.js";
import type { GroupState } from "./group-state.js";
import type { Purger } from "./purger.js";
import {
  encodeCleanClose,
  encodeEntry,
  encodeState,
  ENTRY_OVERHEAD_BYTES,
  RECORD_HEADER_BYTES,
  type StateRecord,
} from "./record-codec.js";
import type { SegmentSet } from "./segment-set.js";

/** Room that a record other than an entry is expected to need; only decides where a frame ends. */
const STATE_RECORD_BYTES = 256;

/** The parts of an open log; `open-log.ts` puts them together. */
export interface LogParts {
  readonly clock: Clock;
  readonly segments: SegmentSet;
  readonly table: GroupTable;
  readonly cache: EntryCache;
  readonly pipeline: FramePipeline;
  readonly purger: Purger;
  readonly mark: DurableMark;
  readonly isSynced: boolean;
  readonly wasClosedCleanly: boolean;
  readonly newestIncarnation: number;
}

/** The open log: turns records into frames and changes the state in memory in the same step. */
export class WriteAheadLog implements RaftLog {
  readonly wasClosedCleanly: boolean;
  readonly newestIncarnation: number;
  readonly #parts: LogParts;
  #appends = 0;
  #closing: Promise<void> | undefined;

  constructor(parts: LogParts) {
    this.#parts = parts;
    this.wasClosedCleanly = parts.wasClosedCleanly;
    this.newestIncarnation = parts.newestIncarnation;
  }

  groups(): Iterable<GroupLog> {
    return this.#parts.table.all();
  }

  group(groupId: number): GroupLog | undefined {
    return this.#parts.table.get(groupId);
  }

  append(records: readonly LogRecord[]): Promise<void> {
    const { pipeline } = this.#parts;
    if (pipeline.failure !== undefined) return Promise.reject(pipeline.failure);
    if (this.#closing !== undefined)
      return Promise.reject(new RheaError("SHUTTING_DOWN", "the log is closing: nothing can be appended"));
    this.#appends++;
    try {
      for (const record of records) {
        checkRecord(this.#parts.table.get(record.groupId), record);
        if (record.kind === "entries") this.#putEntries(record.groupId, record.entries);
        else this.#putState(record);
      }
    } catch (error) {
      return Promise.reject(RheaError.from(error));
    }
    return pipeline.whenDurable();
  }

  stats(): LogStats {
    const { segments, pipeline, purger, clock, isSynced } = this.#parts;
    const since = pipeline.oldestPendingSinceMs();
    return {
      segments: segments.all().length,
      fileBytes: segments.fileBytes(),
      liveBytes: segments.liveBytes,
      deadBytes: segments.deadBytes(),
      appends: this.#appends,
      syncs: pipeline.syncs,
      syncSeconds: pipeline.syncSeconds,
      oldestPendingMs: since === undefined ? 0 : clock.monotonicMs() - since,
      removedSegments: purger.removedSegments,
      rewrittenBytes: purger.rewrittenBytes,
      isSync: isSynced,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { pipeline, purger, segments, mark } = this.#parts;
    await purger.stop();
    if (pipeline.failure === undefined) await this.#writeCleanClose().catch(ignoreReportedFailure);
    await mark.close();
    for (const segment of segments.all()) await segment.file?.close();
  }

  async #writeCleanClose(): Promise<void> {
    const { pipeline, mark, segments } = this.#parts;
    // Alone and last, so that it says of every other frame that it was durable.
    await pipeline.whenDurable();
    await pipeline.syncWritten();
    const frame = pipeline.frameFor(RECORD_HEADER_BYTES);
    encodeCleanClose(frame.out, frame.segment.salt);
    frame.countOwn();
    await pipeline.whenDurable();
    await pipeline.syncWritten();
    await mark.sync(segments.newest().sequence, pipeline.durableSequence);
  }

  #putState(record: StateRecord): void {
    const { pipeline, table } = this.#parts;
    const frame = pipeline.frameFor(STATE_RECORD_BYTES);
    const condemnedPeer = table.get(record.groupId)?.lifecycle.peerId ?? 0;
    encodeState(frame.out, frame.segment.salt, record, condemnedPeer);
    frame.count(table.apply(record, condemnedPeer));
  }

  #putEntries(groupId: number, entries: readonly Entry[]): void {
    const { pipeline, table, cache } = this.#parts;
    const group = table.get(groupId);
    const first = entries[0];
    if (group === undefined || first === undefined) return;
    for (const entry of entries) {
      const bytes = ENTRY_OVERHEAD_BYTES + entry.data.length;
      const frame = pipeline.frameFor(bytes);
      if (entry === first) {
        group.index.dropFrom(first.index);
        group.tail.dropFrom(first.index);
      }
      const offset = frame.position;
      encodeEntry(frame.out, frame.segment.salt, groupId, entry, false);
      frame.count(group);
      group.index.push(entry.term, frame.segment.sequence, offset, bytes);
    }
    cache.put(group.tail, entries);
  }
}

/** Appends live entries again at their indexes, so that their old segment can go. */
export function putRewritten(pipeline: FramePipeline, group: GroupState, entries: readonly Entry[]): void {
  for (const entry of entries) {
    const bytes = ENTRY_OVERHEAD_BYTES + entry.data.length;
    const frame = pipeline.frameFor(bytes);
    const offset = frame.position;
    encodeEntry(frame.out, frame.segment.salt, group.groupId, entry, true);
    frame.count(group);
    group.index.replace(entry.index, entry.term, frame.segment.sequence, offset, bytes);
  }
}

/** A failed write was already reported through `onFailed`; closing goes on to the files. */
function ignoreReportedFailure(error: unknown): void {
  if (error instanceof RheaError && error.code === "DISK_FAILED") return;
  throw error;
}
