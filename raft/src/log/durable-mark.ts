import { asBuffer, crc32, type Clock, type Disk, type DiskFile } from "@rhea/common";
import { getU64, viewOf } from "./byte-io.js";
import type { LogId } from "./segment-head.js";

/**
 * The durable mark: a small file beside the segments that says up to which frame the log is known to be durable, so that an end that goes missing
 * (a newest file that is deleted or shorter than it was) is told from one that was never written. It is written after the fact and not
 * waited for, so it may lag behind, but it never says too much; it is synced with each new segment, at a close and about once per second.
 */
export interface Mark {
  readonly logId: LogId;
  /** Newest segment whose head is durable. */
  readonly segment: number;
  /** Newest frame that is durable, with all before it. */
  readonly frame: number;
}

const NAME = "durable.mark";
const MAGIC = 0x4d444852;
const VERSION = 1;
const SLOT_BYTES = 48;
/** The two slots lie in different sectors: a torn write spoils one. */
const SLOT_OFFSETS = [0, 512] as const;
const FILE_BYTES = 1024;

/** How long a mark may stay unsynced while the log is written to. */
const SYNC_INTERVAL_MS = 1000;

/** What {@link readMark} found. */
export type MarkReading =
  | { readonly state: "good"; readonly mark: Mark; readonly generation: number }
  /** No log was ever opened here by a version that keeps one. */
  | { readonly state: "absent" }
  /** Neither slot is readable: it says nothing. */
  | { readonly state: "bad" };

/** Path of a log's mark. */
export function markPath(directory: string): string {
  return `${directory}/${NAME}`;
}

/** Reads the mark of a log. */
export async function readMark(disk: Disk, directory: string): Promise<MarkReading> {
  if (!(await disk.list(directory)).includes(NAME)) return { state: "absent" };
  const file = await disk.open(markPath(directory), { create: false });
  try {
    const bytes = await file.read(0, FILE_BYTES);
    const [a, b] = SLOT_OFFSETS.map((offset) => decodeSlot(bytes, offset));
    const newest = a !== undefined && b !== undefined ? (a.generation > b.generation ? a : b) : (a ?? b);
    return newest === undefined ? { state: "bad" } : { state: "good", ...newest };
  } finally {
    await file.close();
  }
}

function decodeSlot(bytes: Buffer, offset: number): { mark: Mark; generation: number } | undefined {
  if (bytes.length < offset + SLOT_BYTES) return undefined;
  const slot = bytes.subarray(offset, offset + SLOT_BYTES);
  const view = viewOf(slot);
  const isGood =
    view.getUint32(0, true) === MAGIC &&
    view.getUint16(4, true) === VERSION &&
    crc32(slot.subarray(0, SLOT_BYTES - 4)) === view.getUint32(SLOT_BYTES - 4, true);
  if (!isGood) return undefined;
  const logId = { a: view.getUint32(8, true), b: view.getUint32(12, true) };
  return { mark: { logId, segment: getU64(view, 24), frame: getU64(view, 32) }, generation: getU64(view, 16) };
}

/** What a {@link DurableMark} needs. */
export interface DurableMarkOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly clock: Clock;
  /** What {@link readMark} found there. */
  readonly reading: MarkReading;
  /** What it says from now on. */
  readonly mark: Mark;
  /** Called once, when a write in the background failed. */
  onFailed(cause: unknown): void;
}

/** Opens the mark for writing, making it where there is none; what it says is durable when this resolves. */
export async function openDurableMark(options: DurableMarkOptions): Promise<DurableMark> {
  const { disk, directory, reading } = options;
  const file = await disk.open(markPath(directory), { create: true });
  try {
    const isNew = reading.state !== "good";
    // Slots that nobody can read are wiped, so that none of them counts by accident.
    if (isNew) await file.write(0, [Buffer.alloc(FILE_BYTES)]);
    const mark = new DurableMark(options, file, isNew ? 0 : reading.generation);
    await mark.sync(options.mark.segment, options.mark.frame);
    if (isNew) await disk.syncDir(directory);
    return mark;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The open mark. One write at a time; what comes meanwhile is gathered. */
export class DurableMark {
  readonly #options: DurableMarkOptions;
  readonly #file: DiskFile;
  readonly #slot: Buffer = Buffer.alloc(SLOT_BYTES);
  readonly #view: DataView;
  #generation: number;
  #segment = 0;
  #frame = 0;
  #writtenFrame = 0;
  #syncedAtMs = 0;
  #writing: Promise<void> | undefined;
  #isStopped = false;

  constructor(options: DurableMarkOptions, file: DiskFile, generation: number) {
    this.#options = options;
    this.#file = file;
    this.#generation = generation;
    this.#view = viewOf(this.#slot);
  }

  /** What was noted last, written or about to be. */
  get frame(): number {
    return this.#frame;
  }

  /** Notes that everything up to `frame` is durable; written soon, in the background. */
  advance(frame: number): void {
    this.#frame = frame;
    if (this.#writing !== undefined || this.#isStopped || frame === this.#writtenFrame) return;
    this.#writing = this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Notes that the head of `segment` and everything up to `frame` are durable; resolves when the mark is too. Rejects with what the disk throws. */
  async sync(segment: number, frame: number): Promise<void> {
    this.#segment = segment;
    this.#frame = frame;
    while (this.#writing !== undefined) await this.#writing;
    if (this.#isStopped) return;
    const done = this.#write().then(() => this.#sync());
    this.#writing = done
      .catch(() => undefined)
      .finally(() => {
        this.#writing = undefined;
      });
    await done;
  }

  /** Waits for the write in hand and closes the file. */
  async close(): Promise<void> {
    this.#isStopped = true;
    await this.#writing;
    await this.#file.close();
  }

  async #writeAll(): Promise<void> {
    try {
      while (!this.#isStopped && this.#frame !== this.#writtenFrame) {
        await this.#write();
        if (this.#options.clock.monotonicMs() - this.#syncedAtMs >= SYNC_INTERVAL_MS) await this.#sync();
      }
    } catch (cause) {
      this.#isStopped = true;
      this.#options.onFailed(cause);
    }
  }

  async #write(): Promise<void> {
    const frame = this.#frame;
    this.#generation++;
    const { logId } = this.#options.mark;
    const view = this.#view;
    view.setUint32(0, MAGIC, true);
    view.setUint16(4, VERSION, true);
    view.setUint32(8, logId.a, true);
    view.setUint32(12, logId.b, true);
    setU64(view, 16, this.#generation);
    setU64(view, 24, this.#segment);
    setU64(view, 32, frame);
    view.setUint32(SLOT_BYTES - 4, crc32(asBuffer(this.#slot).subarray(0, SLOT_BYTES - 4)), true);
    await this.#file.write(SLOT_OFFSETS[this.#generation % 2 === 0 ? 0 : 1], [this.#slot]);
    this.#writtenFrame = frame;
  }

  async #sync(): Promise<void> {
    await this.#file.datasync();
    this.#syncedAtMs = this.#options.clock.monotonicMs();
  }
}

function setU64(view: DataView, offset: number, value: number): void {
  const high = Math.floor(value / 2 ** 32);
  view.setUint32(offset, value - high * 2 ** 32, true);
  view.setUint32(offset + 4, high, true);
}
