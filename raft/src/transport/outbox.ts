/** What one process has to say to another: heartbeats and answers first, then the messages in order, bounded in bytes and number. */
import type {
  HeartbeatAckItemInit,
  HeartbeatItemInit,
  ProcessHeartbeatAckInit,
  RaftBatchInit,
  RaftMessageInit,
} from "@rhea/proto";

/** Messages of one batch at most; a single larger message travels alone. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024;
/** What a message costs beside its entries, roughly. */
const MESSAGE_OVERHEAD_BYTES = 64;
/** Messages without entries that may wait: votes, answers, requests of reads. */
const MAX_EMPTY_MESSAGES = 65_536;
const NO_BYTES = new Uint8Array(0);

/** An answer to heartbeats. */
export interface HeartbeatAnswer extends ProcessHeartbeatAckInit {
  readonly sentMs: number;
  readonly compared: boolean;
  readonly differing: readonly number[];
  readonly left: readonly number[];
}

/** Collects what is to be sent to one store. */
export class Outbox {
  readonly #limitBytes: number;
  #heartbeats: HeartbeatItemInit[] = [];
  #acks: HeartbeatAckItemInit[] = [];
  #digest: Uint8Array | undefined;
  #woken: number[] = [];
  #answer: HeartbeatAnswer | undefined;
  #messages: RaftMessageInit[] = [];
  #sizes: number[] = [];
  #bytes = 0;
  #empty = 0;

  /** `limitBytes` bounds the entries waiting; heartbeats and answers are always taken. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Messages waiting, heartbeats not among them. */
  get messages(): number {
    return this.#messages.length;
  }

  /** Bytes of the messages waiting. */
  get bytes(): number {
    return this.#bytes;
  }

  isEmpty(): boolean {
    return this.#messages.length === 0 && !this.hasHeartbeats;
  }

  get hasHeartbeats(): boolean {
    return (
      this.#heartbeats.length > 0 || this.#acks.length > 0 || this.#digest !== undefined || this.#answer !== undefined
    );
  }

  addHeartbeat(item: HeartbeatItemInit): void {
    this.#heartbeats.push(item);
  }

  addAck(item: HeartbeatAckItemInit): void {
    this.#acks.push(item);
  }

  /** Adds the digests of resting groups and those that ceased to rest; an empty digest makes a heartbeat that only shows life. */
  setDigest(digest: Uint8Array, woken: readonly number[]): void {
    this.#digest = digest;
    if (woken.length > 0) this.#woken.push(...woken);
  }

  /** Answers a heartbeat. Of several in one batch the oldest time counts, and all that was found. */
  answer({ sentMs, compared, differing, left }: HeartbeatAnswer): void {
    const earlier = this.#answer;
    this.#answer =
      earlier === undefined
        ? { sentMs, compared, differing, left }
        : {
            sentMs: Math.min(sentMs, earlier.sentMs),
            compared: compared || earlier.compared,
            differing: [...new Set([...earlier.differing, ...differing])],
            left: [...new Set([...earlier.left, ...left])],
          };
  }

  /** Queues a message with `entryBytes` of payload; false (and not queued) when the queue is full for its kind. */
  addMessage(message: RaftMessageInit, entryBytes: number): boolean {
    if (entryBytes > 0) {
      if (this.#bytes + entryBytes > this.#limitBytes && this.#bytes > 0) return false;
    } else if (this.#empty >= MAX_EMPTY_MESSAGES) return false;
    else this.#empty++;
    const size = entryBytes + MESSAGE_OVERHEAD_BYTES;
    this.#messages.push(message);
    this.#sizes.push(size);
    this.#bytes += size;
    return true;
  }

  /** Takes the next batch out: all heartbeats and answers, and (unless `heartbeatsOnly`) as many messages as fit. `nowMs`: monotonic. */
  takeBatch(heartbeatsOnly: boolean, nowMs: number): RaftBatchInit {
    const isBeat = this.#heartbeats.length > 0 || this.#digest !== undefined;
    const batch = {
      acks: this.#acks,
      heartbeat: isBeat
        ? {
            sentMs: Math.floor(nowMs),
            items: this.#heartbeats,
            digest: this.#digest ?? NO_BYTES,
            woken: this.#woken,
          }
        : undefined,
      heartbeatAck: this.#answer,
      messages: heartbeatsOnly ? [] : this.#takeMessages(),
    };
    this.dropHeartbeats();
    return batch;
  }

  /** Drops heartbeats and answers: the next ones say the same. */
  dropHeartbeats(): void {
    this.#heartbeats = [];
    this.#acks = [];
    this.#digest = undefined;
    this.#woken = [];
    this.#answer = undefined;
  }

  /** Drops everything and returns the messages that were waiting. */
  clear(): readonly RaftMessageInit[] {
    this.dropHeartbeats();
    return this.#takeAll();
  }

  #takeAll(): RaftMessageInit[] {
    const all = this.#messages;
    this.#messages = [];
    this.#sizes = [];
    this.#bytes = 0;
    this.#empty = 0;
    return all;
  }

  #takeMessages(): RaftMessageInit[] {
    if (this.#bytes <= MAX_BATCH_BYTES) return this.#takeAll();
    let count = 0;
    let bytes = 0;
    for (const size of this.#sizes) {
      if (count > 0 && bytes + size > MAX_BATCH_BYTES) break;
      if (size === MESSAGE_OVERHEAD_BYTES) this.#empty--;
      bytes += size;
      count++;
    }
    this.#bytes -= bytes;
    this.#sizes.splice(0, count);
    return this.#messages.splice(0, count);
  }
}
