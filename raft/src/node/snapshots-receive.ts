/** Receives snapshots into staging: every chunk checked, every file synced, then handed to the group, which makes the install durable. */
import { createHash } from "node:crypto";
import {
  compareBytes,
  crc32,
  RheaError,
  type DiskFile,
  type Logger,
  type RpcServer,
  type RpcStream,
  errorToWire,
} from "@rhea/common";
import { RaftMethods, type RaftMessage, type SnapshotChunk, type SnapshotReplyInit } from "@rhea/proto";
import type { IdentityBook } from "../transport/identity.js";
import { writeError } from "../snapshot/disk-errors.js";
import type { SavedSnapshot } from "./api.js";
import type { InstalledSnapshot } from "./apply.js";
import { snapshotMetaFromWire } from "./message-codec.js";
import type { SnapshotStaging } from "./snapshot-staging.js";

/** What receiving needs. */
export interface SnapshotReceiveOptions {
  readonly maxSnapshots: number;
  readonly staging: SnapshotStaging;
  readonly identities: IdentityBook;
  readonly logger: Logger;
  /** Why this snapshot is not wanted, or undefined. */
  judge(fromStore: number, header: RaftMessage): RheaError | undefined;
  /** Hands the sealed snapshot over; `done` is called once it is durable or has failed. */
  deliver(
    fromStore: number,
    header: RaftMessage,
    staged: InstalledSnapshot,
    done: (error: RheaError | undefined) => void,
  ): void;
}

type ChunkStream = RpcStream<SnapshotChunk, SnapshotReplyInit>;

/** Receives a limited number of snapshots at once. */
export class SnapshotReceiver {
  readonly #options: SnapshotReceiveOptions;
  readonly #streams = new Set<ChunkStream>();
  #count = 0;

  constructor(options: SnapshotReceiveOptions) {
    this.#options = options;
  }

  /** Snapshots being received now. */
  get count(): number {
    return this.#count;
  }

  /** Registers the method on the owner's server. */
  addTo(server: RpcServer): void {
    server.stream(RaftMethods.Snapshot, (stream: ChunkStream) => {
      this.#accept(stream);
    });
  }

  close(): void {
    for (const stream of this.#streams) stream.close(new RheaError("SHUTTING_DOWN", "the store is closing"));
  }

  #accept(stream: ChunkStream): void {
    this.#streams.add(stream);
    let reception: Reception | undefined;
    let isCounted = false;
    let isOver = false;
    // One chunk after the other; the window of the sender bounds what waits here.
    let tail: Promise<void> = Promise.resolve();
    const finish = (error: RheaError | undefined): void => {
      if (isOver) return;
      isOver = true;
      this.#streams.delete(stream);
      if (error === undefined) stream.send({ accepted: true, done: true });
      else {
        this.#options.logger.log("warn", "receiving a snapshot failed", { code: error.code, why: error.message });
        stream.send({ error: errorToWire(error) });
      }
      stream.close();
      if (isCounted) this.#count--;
    };
    const take = async (chunk: SnapshotChunk): Promise<void> => {
      if (isOver) return;
      if (reception === undefined) {
        if (this.#count >= this.#options.maxSnapshots) {
          throw new RheaError("SERVER_BUSY", `${this.#count} snapshots are being received: repeat later`);
        }
        this.#count++;
        isCounted = true;
        reception = await this.#open(chunk);
        return;
      }
      if (!chunk.end) {
        stream.send({ writtenBytes: await reception.write(chunk) });
        return;
      }
      const { fromStore, header } = reception;
      this.#options.deliver(fromStore, header, await reception.seal(chunk.totalHash), finish);
    };
    const fail = async (thrown: unknown): Promise<void> => {
      if (isOver) return;
      finish(writeError("staging a snapshot", thrown));
      await reception?.discard();
    };
    const enqueue = (step: () => Promise<void>): void => {
      tail = tail.then(step).catch(fail);
    };
    stream.listen({
      onMessage: (chunk) => {
        enqueue(() => take(chunk));
      },
      onClose: (error) => {
        enqueue(async () => {
          // Sealed and handed over: the group finishes it even though nobody hears of it.
          if (reception?.isSealed === true) return;
          throw error ?? new RheaError("UNAVAILABLE", "the sender closed the stream before the end");
        });
      },
    });
  }

  async #open(chunk: SnapshotChunk): Promise<Reception> {
    const { handshake, header, files } = chunk;
    const { identities, staging } = this.#options;
    if (handshake === null || header === null || header.snapshot === null) {
      throw new RheaError("INVALID_ARGUMENT", "a snapshot begins with a handshake and a header");
    }
    const refusal = identities.check(handshake) ?? this.#options.judge(handshake.storeId, header);
    if (refusal !== undefined) throw refusal;
    for (const { name } of files) {
      if (!/^[\w.-]+$/.test(name) || name.startsWith(".")) {
        throw new RheaError("INVALID_ARGUMENT", `a snapshot's file is named ${JSON.stringify(name)}`);
      }
    }
    const saved: SavedSnapshot = { ...snapshotMetaFromWire(header.snapshot), names: files.map(({ name }) => name) };
    const sizes = files.map(({ size }) => size);
    await staging.requireSpace(sizes.reduce((sum, size) => sum + size, 0));
    const name = await staging.create("receive");
    return Reception.open({ staging, name, saved, sizes, fromStore: handshake.storeId, header });
  }
}

interface ReceptionParts {
  readonly staging: SnapshotStaging;
  readonly name: string;
  readonly saved: SavedSnapshot;
  readonly sizes: readonly number[];
  readonly fromStore: number;
  readonly header: RaftMessage;
}

/** One snapshot being written. */
class Reception {
  readonly #parts: ReceptionParts;
  readonly #files: readonly DiskFile[];
  readonly #written: number[];
  readonly #hash = createHash("sha256");
  #total = 0;
  isSealed = false;

  private constructor(parts: ReceptionParts, files: readonly DiskFile[]) {
    this.#parts = parts;
    this.#files = files;
    this.#written = files.map(() => 0);
  }

  static async open(parts: ReceptionParts): Promise<Reception> {
    const { staging, name, saved } = parts;
    const files: DiskFile[] = [];
    for (const file of saved.names) {
      files.push(await staging.disk.open(`${staging.filesOf(name)}/${file}`, { create: true, exclusive: true }));
    }
    return new Reception(parts, files);
  }

  get fromStore(): number {
    return this.#parts.fromStore;
  }

  get header(): RaftMessage {
    return this.#parts.header;
  }

  /** Writes a chunk and returns the bytes written so far. */
  async write({ fileIndex, offset, data, dataCrc }: SnapshotChunk): Promise<number> {
    const file = this.#files[fileIndex];
    const expected = this.#written[fileIndex];
    if (file === undefined || expected !== offset) {
      const where = `file ${fileIndex}, offset ${offset} instead of ${expected ?? 0}`;
      throw new RheaError("INVALID_ARGUMENT", `a chunk of a snapshot is out of order: ${where}`);
    }
    if (crc32(data) !== dataCrc) {
      throw new RheaError("CORRUPTION", `a chunk of a snapshot is damaged: file ${fileIndex}, offset ${offset}`);
    }
    this.#hash.update(data);
    await file.write(offset, [data]);
    this.#written[fileIndex] = offset + data.length;
    this.#total += data.length;
    return this.#total;
  }

  /** Checks that everything came and makes it durable. */
  async seal(totalHash: Uint8Array): Promise<InstalledSnapshot> {
    const { staging, name, saved, sizes } = this.#parts;
    const isComplete = sizes.every((size, i) => size === this.#written[i]);
    if (!isComplete || compareBytes(this.#hash.digest(), totalHash) !== 0) {
      throw new RheaError("CORRUPTION", `a snapshot of ${this.#total} bytes is incomplete or damaged`);
    }
    for (const file of this.#files) {
      await file.datasync();
      await file.close();
    }
    const sealed = await staging.seal(name, saved);
    this.isSealed = true;
    return sealed;
  }

  async discard(): Promise<void> {
    for (const file of this.#files) await file.close();
    await this.#parts.staging.remove(this.#parts.name);
  }
}
