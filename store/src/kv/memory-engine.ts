/**
 * The `memory` engine: everything in one ordered map, durable through a journal of checksummed batches that is rewritten as a base
 * (the whole map) once it is mostly dead. A batch counts only when its frame is fsynced, so the guarantees are those of the interface.
 */
import { RheaError, type Disk, type DiskFile } from "@rhea/common";
import type { KvBatch, KvEngine, KvEntry, KvIterator, KvRange, KvSnapshot } from "./engine.js";
import { decodeFrame, encodeFrame, hasFrameAfter, type JournalOperation } from "./journal.js";
import { createOrderedMap, type OrderedMap } from "./ordered-map.js";

type Tree = OrderedMap<Buffer>;

/** How to open the engine. */
export interface MemoryKvOptions {
  readonly disk: Disk;
  /** Directory of the journal; made if absent. */
  readonly directory: string;
  /** The journal is rewritten when it is over this and over twice the live bytes; default 64 MiB. */
  readonly rewriteBytes?: number;
}

/** Keys per batch of a range clear, and per frame of a base. */
const SLICE = 2_000;

/** Opens (and makes, if absent) the engine: reads the newest journal, cutting a torn tail. Throws CORRUPTION on any other damage. */
export async function openMemoryKv(options: MemoryKvOptions): Promise<KvEngine> {
  const { disk, directory } = options;
  await disk.mkdir(directory);
  const engine = new MemoryKv(options);
  try {
    await engine.open();
  } catch (error) {
    await engine.close();
    throw error;
  }
  return engine;
}

class MemoryBatch implements KvBatch {
  readonly operations: JournalOperation[] = [];

  get length(): number {
    return this.operations.length;
  }

  put(key: string, value: Uint8Array): void {
    this.operations.push({ key, value: Buffer.from(value) });
  }

  delete(key: string): void {
    this.operations.push({ key, value: undefined });
  }
}

class MemoryKv implements KvEngine {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #rewriteBytes: number;
  readonly #tree: Tree = createOrderedMap<Buffer>();
  #liveBytes = 0;
  #file: DiskFile | undefined;
  #generation = 0;
  #fileBytes = 0;
  #sequence = 0;
  /** Everything that touches the journal goes through this chain, in call order. */
  #tail: Promise<void> = Promise.resolve();
  #failure: RheaError | undefined;

  constructor(options: MemoryKvOptions) {
    this.#disk = options.disk;
    this.#directory = options.directory;
    this.#rewriteBytes = options.rewriteBytes ?? 64 << 20;
  }

  async open(): Promise<void> {
    const names = await this.#disk.list(this.#directory);
    const generations = names.flatMap((name) => {
      const match = /^journal-(\d{10})$/.exec(name);
      return match?.[1] === undefined ? [] : [Number(match[1])];
    });
    this.#generation = Math.max(0, ...generations);
    if (this.#generation === 0) {
      await this.#rewrite();
      return;
    }
    const path = this.#path(this.#generation);
    this.#file = await this.#disk.open(path, { create: false });
    this.#fileBytes = await this.#replay(path, await this.#file.read(0, await this.#file.size()));
    await this.#file.truncate(this.#fileBytes);
    await this.#file.datasync();
    for (const generation of generations) {
      if (generation !== this.#generation) await this.#disk.remove(this.#path(generation));
    }
  }

  get(key: string): Buffer | undefined {
    return this.#tree.get(key);
  }

  batch(): KvBatch {
    return new MemoryBatch();
  }

  write(batch: KvBatch): Promise<void> {
    if (!(batch instanceof MemoryBatch))
      return Promise.reject(new RheaError("INTERNAL", "a batch of another engine was written"));
    const done = this.#tail.then(() => this.#append(batch.operations));
    this.#tail = done.catch(() => undefined);
    return done;
  }

  iterate(range: KvRange): KvIterator {
    return iterateTree(this.#tree.clone(), range);
  }

  snapshot(): KvSnapshot {
    const tree = this.#tree.clone();
    return { get: (key) => tree.get(key), iterate: (range) => iterateTree(tree, range), close: async () => undefined };
  }

  async clearRange(start: string, end: string): Promise<void> {
    const iterator = this.iterate({ start, end });
    for (let slice = await iterator.next(SLICE); slice.length > 0; slice = await iterator.next(SLICE)) {
      const batch = this.batch();
      for (const { key } of slice) batch.delete(key);
      await this.write(batch);
    }
  }

  async approximateSize(start: string, end: string): Promise<number> {
    const iterator = this.iterate({ start, end });
    let bytes = 0;
    for (let slice = await iterator.next(SLICE); slice.length > 0; slice = await iterator.next(SLICE)) {
      for (const { key, value } of slice) bytes += key.length + value.length;
    }
    return bytes;
  }

  async close(): Promise<void> {
    await this.#tail;
    this.#failure ??= new RheaError("SHUTTING_DOWN", `${this.#directory}: the engine is closed`);
    await this.#file?.close();
  }

  #path(generation: number): string {
    return `${this.#directory}/journal-${String(generation).padStart(10, "0")}`;
  }

  async #append(operations: readonly JournalOperation[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      const frame = encodeFrame(this.#sequence + 1, operations);
      await this.#file?.write(this.#fileBytes, [frame]);
      await this.#file?.datasync();
      this.#fileBytes += frame.length;
      this.#sequence++;
      this.#apply(operations);
      if (this.#fileBytes > this.#rewriteBytes && this.#fileBytes > 2 * this.#liveBytes) await this.#rewrite();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#failure = new RheaError(
        "DISK_FAILED",
        `${this.#directory}: could not write a batch: ${message}; the process must stop`,
        {
          cause: error,
        },
      );
      throw this.#failure;
    }
  }

  #apply(operations: readonly JournalOperation[]): void {
    for (const { key, value } of operations) {
      const before = this.#tree.get(key);
      if (before !== undefined) this.#liveBytes -= key.length + before.length;
      if (value === undefined) {
        this.#tree.delete(key);
      } else {
        this.#tree.set(key, value);
        this.#liveBytes += key.length + value.length;
      }
    }
  }

  /** Writes the whole map as the next generation; the old journal counts until the new name is durable. */
  async #rewrite(): Promise<void> {
    const next = this.#generation + 1;
    const temporary = `${this.#directory}/base.tmp`;
    await this.#disk.remove(temporary);
    const file = await this.#disk.open(temporary, { create: true, exclusive: true });
    let bytes = 0;
    let sequence = 0;
    const iterator = iterateTree(this.#tree.clone(), { start: "", end: "" });
    for (let slice = await iterator.next(SLICE); slice.length > 0; slice = await iterator.next(SLICE)) {
      const frame = encodeFrame(++sequence, slice);
      await file.write(bytes, [frame]);
      bytes += frame.length;
    }
    await file.datasync();
    await this.#disk.rename(temporary, this.#path(next));
    await this.#disk.syncDir(this.#directory);
    await this.#file?.close();
    if (this.#generation > 0) await this.#disk.remove(this.#path(this.#generation));
    this.#file = file;
    this.#generation = next;
    this.#fileBytes = bytes;
    this.#sequence = sequence;
  }

  /** Fills the map and returns the length of the valid part. */
  async #replay(path: string, bytes: Buffer): Promise<number> {
    let at = 0;
    for (;;) {
      const frame = decodeFrame(bytes, at);
      if (frame?.sequence !== this.#sequence + 1) break;
      this.#apply(frame.operations);
      this.#sequence = frame.sequence;
      at = frame.next;
    }
    if (at < bytes.length && hasFrameAfter(bytes, at)) {
      throw new RheaError("CORRUPTION", `${path}: bad frame at byte ${at} before valid ones; replace this store`, {
        details: { file: path, offset: at },
      });
    }
    return at;
  }
}

function iterateTree(tree: Tree, range: KvRange): KvIterator {
  const { start, end } = range;
  const entries =
    range.reverse === true
      ? tree.entriesReversed(end === "" ? undefined : end, undefined, true)
      : tree.entries(start === "" ? undefined : start);
  let isDone = false;
  return {
    next: async (max) => {
      const rows: KvEntry[] = [];
      while (!isDone && rows.length < max) {
        const item = entries.next();
        if (item.done === true) {
          isDone = true;
          break;
        }
        const [key, value] = item.value as [string, Buffer];
        if (key < start || (end !== "" && key >= end)) isDone = true;
        else rows.push({ key, value });
      }
      return rows;
    },
    close: async () => {
      isDone = true;
    },
  };
}
