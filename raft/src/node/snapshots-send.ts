/** Sends snapshots, each on a connection of its own: saved by the state machine, read in chunks, a bounded window ahead of the receiver. */
import { createHash } from "node:crypto";
import {
  crc32,
  RheaError,
  type Clock,
  type Logger,
  type Net,
  type RpcStream,
  type Scheduler,
  errorFromWire,
} from "@rhea/common";
import { RaftMethods, type RaftMessageInit, type SnapshotChunkInit, type SnapshotReply } from "@rhea/proto";
import type { Message } from "../core/types.js";
import type { IdentityBook } from "../transport/identity.js";
import type { GroupDescription } from "./api.js";
import { SendingPace } from "./sending-pace.js";
import { snapMessageToWire, snapshotMetaToWire } from "./message-codec.js";
import type { SnapshotSource } from "./snapshot-source.js";

const CHUNK_BYTES = 256 * 1024;
/** What may be on its way, unacknowledged. */
const WINDOW_BYTES = 4 * 1024 * 1024;
/** A transfer in which nothing moves for so long has failed. */
const STALL_MS = 30_000;

/** One snapshot to send. */
export interface SnapshotJob {
  readonly groupId: number;
  readonly toStore: number;
  readonly message: Message;
  /** Gives what is sent. */
  open(): Promise<SnapshotSource>;
  readonly description: GroupDescription | undefined;
}

/** What sending needs. */
export interface SnapshotSendOptions {
  readonly maxSnapshots: number;
  /** Over all transfers. */
  readonly maxBytesPerSecond: number;
  readonly clock: Clock;
  readonly identities: IdentityBook;
  readonly net: Net;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  resolve(storeId: number): string | undefined;
  onDone(job: SnapshotJob, status: "finish" | "failure"): void;
}

/** Sends a limited number of snapshots at once. */
export class SnapshotSender {
  readonly #options: SnapshotSendOptions;
  readonly #transfers = new Set<Transfer>();
  readonly #pace: SendingPace;
  #count = 0;
  #isClosed = false;

  constructor(options: SnapshotSendOptions) {
    this.#options = options;
    this.#pace = new SendingPace(options);
  }

  /** Snapshots being saved or sent now. */
  get count(): number {
    return this.#count;
  }

  /** Starts a job; `onDone` tells how it ended, at once with a failure when too many run: the leader asks again later. */
  send(job: SnapshotJob): void {
    if (this.#count >= this.#options.maxSnapshots || this.#isClosed) {
      this.#options.onDone(job, "failure");
      return;
    }
    this.#count++;
    this.#run(job).then(
      () => {
        this.#end(job, "finish");
      },
      (error: unknown) => {
        const { code, message } = RheaError.from(error);
        const { groupId, toStore } = job;
        this.#options.logger.log("warn", "sending a snapshot failed", { groupId, toStore, code, why: message });
        this.#end(job, "failure");
      },
    );
  }

  close(): void {
    this.#isClosed = true;
    for (const transfer of this.#transfers) transfer.abort(new RheaError("SHUTTING_DOWN", "the store is closing"));
  }

  #end(job: SnapshotJob, status: "finish" | "failure"): void {
    this.#count--;
    if (!this.#isClosed) this.#options.onDone(job, status);
  }

  async #run(job: SnapshotJob): Promise<void> {
    const source = await job.open();
    try {
      const least = job.message.snapshot?.metadata.index ?? 0;
      if (source.saved.index < least) {
        const reached = `reaches ${source.saved.index}, ${least} is needed`;
        throw new RheaError("INTERNAL", `group ${job.groupId}: the saved snapshot ${reached}`);
      }
      await this.#transfer(job, source);
    } finally {
      await source.close();
    }
  }

  async #transfer(job: SnapshotJob, { saved, disk, directory }: SnapshotSource): Promise<void> {
    const { net, identities, scheduler } = this.#options;
    const { groupId, toStore, message, description } = job;
    const address = this.#options.resolve(toStore);
    if (address === undefined || this.#isClosed) {
      throw new RheaError("UNAVAILABLE", `store ${toStore} has no known address`);
    }
    const meta = snapshotMetaToWire(saved.index, saved.term, saved.confState, saved.peers);
    const header: RaftMessageInit = snapMessageToWire(groupId, message, meta, description);
    const files = await Promise.all(
      saved.names.map(async (name) => {
        const file = await disk.open(`${directory}/${name}`, { create: false });
        return { name, file, size: await file.size() };
      }),
    );
    const channel = net.connect(address);
    const transfer = new Transfer(channel.stream(RaftMethods.Snapshot), scheduler);
    this.#transfers.add(transfer);
    try {
      transfer.send({
        handshake: identities.handshake(toStore),
        header,
        files: files.map(({ name, size }) => ({ name, size })),
        totalBytes: files.reduce((sum, { size }) => sum + size, 0),
      });
      const hash = createHash("sha256");
      for (const [fileIndex, { file, size }] of files.entries()) {
        for (let offset = 0; offset < size; offset += CHUNK_BYTES) {
          const data = await file.read(offset, Math.min(CHUNK_BYTES, size - offset));
          hash.update(data);
          await transfer.waitForRoom(data.length);
          await this.#pace.wait(data.length);
          transfer.send({ fileIndex, offset, data, dataCrc: crc32(data) });
        }
      }
      transfer.send({ end: true, totalHash: hash.digest() });
      await transfer.done;
    } finally {
      this.#transfers.delete(transfer);
      transfer.abort(undefined);
      channel.close();
      await Promise.all(files.map(({ file }) => file.close()));
    }
  }
}

/** The sending end of one stream: counts what the receiver has written, and fails when nothing moves. */
class Transfer {
  readonly done: Promise<void>;
  readonly #stream: RpcStream<SnapshotReply, SnapshotChunkInit>;
  readonly #cancelTimer: () => void;
  #sentBytes = 0;
  #writtenBytes = 0;
  #hasEnded = false;
  #wake: (() => void) | undefined;

  constructor(stream: RpcStream<SnapshotReply, SnapshotChunkInit>, scheduler: Scheduler) {
    this.#stream = stream;
    let lastSeen = -1;
    let timer = scheduler.setTimer(STALL_MS, check);
    const abort = (error: RheaError): void => {
      this.abort(error);
    };
    const progress = (): number => this.#writtenBytes;
    function check(): void {
      if (progress() === lastSeen) abort(new RheaError("DEADLINE_EXCEEDED", `no progress in ${STALL_MS} ms`));
      else {
        lastSeen = progress();
        timer = scheduler.setTimer(STALL_MS, check);
      }
    }
    this.#cancelTimer = () => {
      timer.cancel();
    };
    this.done = new Promise((resolve, reject) => {
      const end = (error: Error | undefined): void => {
        this.#hasEnded = true;
        if (error === undefined) resolve();
        else reject(error);
        this.#wake?.();
      };
      stream.listen({
        onMessage: (reply) => {
          this.#writtenBytes = reply.writtenBytes;
          if (reply.error !== null) end(errorFromWire(reply.error));
          else if (reply.done) end(undefined);
          this.#wake?.();
        },
        onClose: (error) => {
          end(error ?? new RheaError("UNAVAILABLE", "the receiver closed the stream before it answered"));
        },
      });
    });
    // Whoever sends chunks notices the end by itself; the rejection is picked up at the latest after the last chunk.
    this.done.catch(() => undefined);
  }

  send(chunk: SnapshotChunkInit): void {
    this.#sentBytes += chunk.data?.length ?? 0;
    this.#stream.send(chunk);
  }

  /** Resolves when `bytes` more fit into the window, rejects when the stream has ended. */
  async waitForRoom(bytes: number): Promise<void> {
    while (!this.#hasEnded && this.#sentBytes + bytes - this.#writtenBytes > WINDOW_BYTES) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#hasEnded) await this.done;
  }

  /** Ends the stream; without an error after an orderly end. */
  abort(error: RheaError | undefined): void {
    this.#cancelTimer();
    this.#stream.close(error);
  }
}
