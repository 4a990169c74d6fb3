/** The `leveldb` engine: classic-level behind the engine interface. Always `sync: true`, never `repair()`. */
import { ClassicLevel, type ChainedBatch, type Iterator } from "classic-level";
import { RheaError, asBuffer, fromLatin1, toLatin1 } from "@rhea/common";
import type { KvBatch, KvEngine, KvEntry, KvIterator, KvRange, KvSnapshot } from "../kv/engine.js";

/** How to open a directory. Sizes in bytes. */
export interface LevelKvOptions {
  readonly directory: string;
  /** Cache of uncompressed blocks; default 64 MiB. */
  readonly cacheBytes?: number;
  /** Writes kept in memory before a table file is written; default 64 MiB. */
  readonly writeBufferBytes?: number;
  /** Default true (snappy). */
  readonly compression?: boolean;
}

type Db = ClassicLevel<Buffer, Buffer>;
type LevelSnapshot = ReturnType<Db["snapshot"]>;

const MIB = 1 << 20;
/** Keys per batch of a range clear. */
const CLEAR_SLICE = 2_000;

/** Opens (and makes, if absent) a LevelDB. Throws LOCKED if another process has it, CORRUPTION if it does not open, DISK_FAILED else. */
export async function openLevelKv(options: LevelKvOptions): Promise<KvEngine> {
  const db: Db = new ClassicLevel<Buffer, Buffer>(options.directory, {
    keyEncoding: "buffer",
    valueEncoding: "buffer",
    cacheSize: options.cacheBytes ?? 64 * MIB,
    writeBufferSize: options.writeBufferBytes ?? 64 * MIB,
    maxFileSize: 16 * MIB,
    compression: options.compression ?? true,
    maxOpenFiles: 1000,
  });
  try {
    await db.open();
  } catch (error) {
    throw openError(options.directory, error);
  }
  return new LevelKv(db, options.directory);
}

class LevelBatch implements KvBatch {
  readonly chained: ChainedBatch<Db, Buffer, Buffer>;
  length = 0;

  constructor(chained: ChainedBatch<Db, Buffer, Buffer>) {
    this.chained = chained;
  }

  put(key: string, value: Uint8Array): void {
    this.chained.put(fromLatin1(key), asBuffer(value));
    this.length++;
  }

  delete(key: string): void {
    this.chained.del(fromLatin1(key));
    this.length++;
  }
}

class LevelKv implements KvEngine {
  readonly #db: Db;
  readonly #directory: string;

  constructor(db: Db, directory: string) {
    this.#db = db;
    this.#directory = directory;
  }

  get(key: string): Buffer | undefined {
    return this.#read(() => this.#db.getSync(fromLatin1(key)));
  }

  batch(): KvBatch {
    return new LevelBatch(this.#db.batch());
  }

  async write(batch: KvBatch): Promise<void> {
    if (!(batch instanceof LevelBatch)) throw new RheaError("INTERNAL", "a batch of another engine was written");
    try {
      await batch.chained.write({ sync: true });
    } catch (error) {
      throw this.#failed("write a batch", error);
    }
  }

  iterate(range: KvRange): KvIterator {
    return this.#iterate(range, undefined);
  }

  snapshot(): KvSnapshot {
    const snapshot = this.#db.snapshot();
    return {
      get: (key) => this.#read(() => this.#db.getSync(fromLatin1(key), { snapshot })),
      iterate: (range) => this.#iterate(range, snapshot),
      close: () => snapshot.close(),
    };
  }

  async clearRange(start: string, end: string): Promise<void> {
    const keys = this.#db.keys({ ...bounds({ start, end }), fillCache: false });
    try {
      for (;;) {
        const slice = await keys.nextv(CLEAR_SLICE);
        if (slice.length === 0) return;
        const batch = this.#db.batch();
        for (const key of slice) batch.del(key);
        await batch.write({ sync: true });
      }
    } catch (error) {
      throw this.#failed("clear a range", error);
    } finally {
      await keys.close();
    }
  }

  async approximateSize(start: string, end: string): Promise<number> {
    const last = end === "" ? Buffer.alloc(16, 0xff) : fromLatin1(end);
    return this.#db.approximateSize(fromLatin1(start), last);
  }

  async close(): Promise<void> {
    await this.#db.close();
  }

  #iterate(range: KvRange, snapshot: LevelSnapshot | undefined): KvIterator {
    const iterator: Iterator<Db, Buffer, Buffer> = this.#db.iterator({
      ...bounds(range),
      reverse: range.reverse ?? false,
      highWaterMarkBytes: 256 * 1024,
      ...(snapshot === undefined ? {} : { snapshot }),
    });
    return {
      next: async (max) => {
        let rows: [Buffer, Buffer][];
        try {
          rows = await iterator.nextv(max);
        } catch (error) {
          throw readError(this.#directory, error);
        }
        return rows.map(([key, value]): KvEntry => ({ key: toLatin1(key), value }));
      },
      close: () => iterator.close(),
    };
  }

  #read(get: () => Buffer | undefined): Buffer | undefined {
    try {
      return get();
    } catch (error) {
      throw readError(this.#directory, error);
    }
  }

  #failed(what: string, error: unknown): RheaError {
    return new RheaError(
      "DISK_FAILED",
      `${this.#directory}: could not ${what}: ${messageOf(error)}; the process must stop`,
      {
        cause: error,
      },
    );
  }
}

function bounds(range: KvRange): { gte: Buffer; lt?: Buffer } {
  const gte = fromLatin1(range.start);
  return range.end === "" ? { gte } : { gte, lt: fromLatin1(range.end) };
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

function readError(directory: string, error: unknown): RheaError {
  const code = codeOf(error) === "LEVEL_CORRUPTION" ? "CORRUPTION" : "DISK_FAILED";
  return new RheaError(code, `${directory}: could not read: ${messageOf(error)}`, {
    cause: error,
    details: { file: directory },
  });
}

function openError(directory: string, error: unknown): RheaError {
  const inner = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = codeOf(inner);
  if (code === "LEVEL_LOCKED") {
    return new RheaError("LOCKED", `${directory}: another process has this directory open; stop it first`, {
      cause: error,
    });
  }
  if (code === "LEVEL_CORRUPTION") {
    return new RheaError(
      "CORRUPTION",
      `${directory}: ${messageOf(error)}; replace this store, do not repair the files`,
      {
        cause: error,
        details: { file: directory },
      },
    );
  }
  return new RheaError("DISK_FAILED", `${directory}: could not open: ${messageOf(error)}`, { cause: error });
}
