import { invariant, InvariantError, RheaError, type Clock, type Disk } from "@rhea/common";
import { ByteWriter } from "./byte-io.js";
import type { DurableMark } from "./durable-mark.js";
import { MAX_FRAME_BYTES } from "./frame-codec.js";
import { Frame } from "./frame.js";
import { createSegmentFile } from "./segment-files.js";
import type { Segment, SegmentSet } from "./segment-set.js";

/** Frames being written and synced, at most. Recovery relies on it: in a synced segment frame k+2 exists only if k was durable. */
const MAX_IN_FLIGHT = 2;

/** How many frames may be durable and not noted in the durable mark while there is always another one in flight. */
const MARKED_EVERY = 8;

const FRAME_CAPACITY_BYTES = 64 * 1024;

/** Buffers of finished frames that are kept for new ones, and the largest that is. */
const POOLED_WRITERS = 4;
const POOLED_CAPACITY_BYTES = 2 * MAX_FRAME_BYTES;

/** What the pipeline needs. */
export interface PipelineOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly clock: Clock;
  readonly segments: SegmentSet;
  readonly segmentBytes: number;
  /** False: frames are acknowledged when they are written; only a segment that is full is synced, and everything at a close. */
  readonly isSynced: boolean;
  readonly mark: DurableMark;
  /** Sequence of the first frame. */
  readonly nextFrame: number;
  /** Plans the segment after the newest; its head tells the state after all frames opened so far. */
  planSegment(firstFrame: number): { segment: Segment; head: Buffer };
  /** Called when `durableSequence` or the set of usable segments grew. */
  onProgress(): void;
  /** Called once, when a write or fsync failed. */
  onFailed(error: RheaError): void;
}

interface PlannedSegment {
  readonly segment: Segment;
  readonly head: Buffer;
}

/**
 * Group commit: one frame is open, sealed ones wait, at most two are being written and synced; completions are delivered in order.
 * A planned segment is made when everything before it is durable, alone.
 */
export class FramePipeline {
  /** Newest frame that is durable, with all before it. */
  durableSequence: number;
  syncs = 0;
  syncSeconds = 0;
  failure: RheaError | undefined;
  readonly #options: PipelineOptions;
  #nextFrame: number;
  #open: Frame | undefined;
  #queue: (Frame | PlannedSegment)[] = [];
  #inFlight: Frame[] = [];
  #isMakingSegment = false;
  #isPumpDue = false;
  #frameBytesInSegment = 0;
  /** Newest frame that is written, with all before it. Invariant: durableSequence <= writtenSequence. */
  #writtenSequence: number;
  readonly #pool: ByteWriter[] = [];

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#nextFrame = options.nextFrame;
    this.durableSequence = options.nextFrame - 1;
    this.#writtenSequence = this.durableSequence;
    options.segments.frameSequence = this.durableSequence;
  }

  /** Returns the frame that the next `bytes` of records belong in. It is written soon, without another call. */
  frameFor(bytes: number): Frame {
    const open = this.#open;
    if (open !== undefined && (open.isEmpty || open.sizeWith(bytes) <= MAX_FRAME_BYTES)) return open;
    if (open !== undefined) this.#seal(open);
    return this.#openFrame();
  }

  /** Resolves when everything put in frames so far is durable; with `isSynced` false, when it is written. */
  whenDurable(): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const newest = this.#open ?? this.#queue.findLast((item) => item instanceof Frame) ?? this.#inFlight.at(-1);
    if (newest === undefined) return Promise.resolve();
    return new Promise((resolve, reject) => newest.waiters.push({ resolve, reject }));
  }

  /** Monotonic ms when the oldest frame that is not durable was opened. */
  oldestPendingSinceMs(): number | undefined {
    return this.#pending().next().value?.openedAtMs;
  }

  /** Reads bytes of a segment: from the frames that are still in memory, else from the file; a range may cross from one to the other. */
  readSync(segment: number, offset: number, length: number): Buffer {
    const end = offset + length;
    const parts: Buffer[] = [];
    let at = offset;
    for (const frame of this.#pending()) {
      if (frame.segment.sequence !== segment || frame.position <= at || frame.offset >= end) continue;
      if (frame.offset > at) parts.push(this.#readFile(segment, at, frame.offset - at));
      at = Math.max(at, frame.offset);
      const stop = Math.min(end, frame.position);
      parts.push(frame.read(at, stop - at));
      at = stop;
    }
    if (at < end) parts.push(this.#readFile(segment, at, end - at));
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
  }

  #readFile(segment: number, offset: number, length: number): Buffer {
    const { file, path } = this.#options.segments.get(segment);
    if (file === undefined) throw new InvariantError(`${path} offset ${offset}: read before the segment was made`);
    return file.readSync(offset, length);
  }

  *#pending(): Generator<Frame, undefined> {
    yield* this.#inFlight;
    for (const item of this.#queue) if (item instanceof Frame) yield item;
    if (this.#open !== undefined) yield this.#open;
    return undefined;
  }

  #openFrame(): Frame {
    const { segments, segmentBytes, clock } = this.#options;
    if (this.#frameBytesInSegment >= segmentBytes) {
      this.#queue.push(this.#options.planSegment(this.#nextFrame));
      this.#frameBytesInSegment = 0;
    }
    const segment = segments.newest();
    const out = this.#pool.pop() ?? new ByteWriter(FRAME_CAPACITY_BYTES);
    const frame = new Frame(this.#nextFrame++, segment, out, clock.monotonicMs());
    segments.frameSequence = frame.sequence;
    this.#open = frame;
    this.#pumpSoon();
    return frame;
  }

  #seal(frame: Frame): void {
    frame.seal();
    this.#frameBytesInSegment += frame.out.length;
    this.#queue.push(frame);
    this.#open = undefined;
  }

  /** Defers to the end of the running callback, so that its appends share a frame. */
  #pumpSoon(): void {
    if (this.#isPumpDue) return;
    this.#isPumpDue = true;
    void Promise.resolve().then(() => {
      this.#isPumpDue = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (this.failure === undefined && !this.#isMakingSegment && this.#inFlight.length < MAX_IN_FLIGHT) {
      if (this.#queue.length === 0 && this.#open !== undefined) this.#seal(this.#open);
      const next = this.#queue[0];
      if (next === undefined) return;
      if (next instanceof Frame) {
        this.#queue.shift();
        void this.#write(next);
      } else {
        if (this.#inFlight.length > 0) return;
        this.#queue.shift();
        void this.#makeSegment(next);
      }
    }
  }

  async #write(frame: Frame): Promise<void> {
    this.#inFlight.push(frame);
    const { file, path } = frame.segment;
    try {
      invariant(file !== undefined, `${path}: written before the segment was made`);
      await file.write(frame.offset, [frame.finish(this.durableSequence)]);
      if (this.#options.isSynced) await this.#sync(() => file.datasync());
    } catch (cause) {
      this.#fail(`frame ${frame.sequence} to ${path} at offset ${frame.offset}`, cause);
      return;
    }
    frame.isWritten = true;
    this.#complete();
  }

  #complete(): void {
    if (this.failure !== undefined) return;
    const { isSynced, mark } = this.#options;
    for (let oldest = this.#inFlight[0]; oldest?.isWritten === true; oldest = this.#inFlight[0]) {
      this.#inFlight.shift();
      this.#writtenSequence = oldest.sequence;
      if (isSynced) this.durableSequence = oldest.sequence;
      for (const waiter of oldest.waiters) waiter.resolve();
      if (oldest.out.capacity <= POOLED_CAPACITY_BYTES && this.#pool.length < POOLED_WRITERS)
        this.#pool.push(oldest.out);
    }
    this.#options.onProgress();
    this.#pump();
    // A write of its own per frame would be felt where frames follow one another, so there only some of them are noted.
    if (this.#inFlight.length === 0 || this.durableSequence >= mark.frame + MARKED_EVERY)
      mark.advance(this.durableSequence);
  }

  /** Makes durable what is only written; nothing may be in flight. */
  async syncWritten(): Promise<void> {
    const { file } = this.#newestUsable();
    if (this.durableSequence === this.#writtenSequence) return;
    try {
      await this.#sync(async () => file?.datasync());
    } catch (cause) {
      this.#fail("what was not synced yet", cause);
      throw cause;
    }
    this.durableSequence = this.#writtenSequence;
  }

  #newestUsable(): Segment {
    const { segments } = this.#options;
    return segments.all().findLast((segment) => segment.file !== undefined) ?? segments.newest();
  }

  async #makeSegment({ segment, head }: PlannedSegment): Promise<void> {
    this.#isMakingSegment = true;
    const { disk, directory, mark } = this.#options;
    try {
      // Only the newest segment may hold frames that are not durable.
      await this.syncWritten();
      segment.file = await this.#sync(() => createSegmentFile(disk, directory, segment.path, head));
      await mark.sync(segment.sequence, this.durableSequence);
    } catch (cause) {
      this.#fail(`the head of ${segment.path}`, cause);
      return;
    }
    this.#isMakingSegment = false;
    this.#complete();
  }

  async #sync<T>(run: () => Promise<T>): Promise<T> {
    const { clock } = this.#options;
    const start = clock.monotonicMs();
    const result = await run();
    this.syncs++;
    this.syncSeconds += (clock.monotonicMs() - start) / 1000;
    return result;
  }

  #fail(what: string, cause: unknown): void {
    const reason = cause instanceof Error ? cause.message : String(cause);
    this.fail(
      new RheaError(
        "DISK_FAILED",
        `log: writing ${what} failed (${reason}): the process stops; check the disk before it starts again`,
        {
          cause,
        },
      ),
    );
  }

  /** Stops everything: whoever waits is refused, and whoever comes. The first failure counts. */
  fail(error: RheaError): void {
    if (this.failure !== undefined) return;
    this.failure = error;
    for (const frame of this.#pending()) for (const waiter of frame.waiters) waiter.reject(error);
    this.#options.onFailed(error);
  }
}
