/** What one process has to say to another: heartbeats and answers first, then the messages in order, bounded in bytes. */
import type { HeartbeatAckItemInit, HeartbeatItemInit, RaftBatchInit, RaftMessageInit } from "@rhea/proto";

/** Messages of one batch at most; a single larger message travels alone. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024;
/** What a message costs beside its entries, roughly. */
const MESSAGE_OVERHEAD_BYTES = 64;

/** Collects what is to be sent to one store. */
export class Outbox {
  readonly #limitBytes: number;
  #heartbeats: HeartbeatItemInit[] = [];
  #acks: HeartbeatAckItemInit[] = [];
  #messages: RaftMessageInit[] = [];
  #sizes: number[] = [];
  #bytes = 0;
  #sequence = 0;

  /** `limitBytes` bounds the messages waiting; heartbeats and answers are always taken. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  isEmpty(): boolean {
    return this.#messages.length === 0 && !this.hasHeartbeats;
  }

  get hasHeartbeats(): boolean {
    return this.#heartbeats.length > 0 || this.#acks.length > 0;
  }

  addHeartbeat(item: HeartbeatItemInit): void {
    this.#heartbeats.push(item);
  }

  addAck(item: HeartbeatAckItemInit): void {
    this.#acks.push(item);
  }

  /** Queues a message with `entryBytes` of payload; false (and not queued) when it has entries and the queue is full. */
  addMessage(message: RaftMessageInit, entryBytes: number): boolean {
    if (entryBytes > 0 && this.#bytes + entryBytes > this.#limitBytes && this.#bytes > 0) return false;
    const size = entryBytes + MESSAGE_OVERHEAD_BYTES;
    this.#messages.push(message);
    this.#sizes.push(size);
    this.#bytes += size;
    return true;
  }

  /** Takes the next batch out: all heartbeats and answers, and (unless `heartbeatsOnly`) as many messages as fit. */
  takeBatch(heartbeatsOnly: boolean): RaftBatchInit {
    const batch = {
      acks: this.#acks,
      heartbeat: this.#heartbeats.length === 0 ? undefined : { sequence: ++this.#sequence, items: this.#heartbeats },
      messages: heartbeatsOnly ? [] : this.#takeMessages(),
    };
    this.#heartbeats = [];
    this.#acks = [];
    return batch;
  }

  /** Drops everything and returns the messages that were waiting. */
  clear(): readonly RaftMessageInit[] {
    const dropped = this.#messages;
    this.#messages = [];
    this.#sizes = [];
    this.#bytes = 0;
    this.#heartbeats = [];
    this.#acks = [];
    return dropped;
  }

  #takeMessages(): RaftMessageInit[] {
    if (this.#bytes <= MAX_BATCH_BYTES) {
      const all = this.#messages;
      this.#messages = [];
      this.#sizes = [];
      this.#bytes = 0;
      return all;
    }
    let count = 0;
    let bytes = 0;
    for (const size of this.#sizes) {
      if (count > 0 && bytes + size > MAX_BATCH_BYTES) break;
      bytes += size;
      count++;
    }
    this.#bytes -= bytes;
    this.#sizes.splice(0, count);
    return this.#messages.splice(0, count);
  }
}
