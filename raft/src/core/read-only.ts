import { jointCommittedIndex, type AckedIndexer } from "./quorum.js";
import type { ConfState, Message, PeerId } from "./types.js";

/** Is a read that waits for a proof that its leader still leads. */
export interface PendingRead {
  readonly sequence: number;
  /** Is the commit index when the read arrived: what it must see. */
  readonly index: number;
  readonly request: Message;
}

const CONTEXT_BYTES = 8;

/** Encodes a read's sequence as the context of a heartbeat. */
export function encodeReadSequence(sequence: number): Uint8Array {
  const out = new Uint8Array(CONTEXT_BYTES);
  const view = new DataView(out.buffer);
  view.setUint32(0, Math.floor(sequence / 2 ** 32));
  view.setUint32(4, sequence % 2 ** 32);
  return out;
}

/** Decodes the context of a heartbeat or its answer; 0 when it carries no read. */
export function decodeReadSequence(context: Uint8Array | undefined): number {
  if (context?.length !== CONTEXT_BYTES) return 0;
  const view = new DataView(context.buffer, context.byteOffset, CONTEXT_BYTES);
  return view.getUint32(0) * 2 ** 32 + view.getUint32(4);
}

/**
 * Holds a leader's pending reads (thesis 6.4). Every read gets the next number of a sequence that never repeats within a term; peers
 * echo the highest they were asked. An echo vouches for that read and all before it, so what a quorum has echoed may be answered.
 * Callers' own contexts play no part: two reads with one context stay two reads.
 */
export class ReadOnlyQueue implements AckedIndexer {
  #pending: PendingRead[] = [];
  #lastSequence = 0;
  readonly #acked = new Map<PeerId, number>();

  get isEmpty(): boolean {
    return this.#pending.length === 0;
  }

  /** Is the newest pending read's sequence, or 0. */
  get lastPending(): number {
    return this.#pending.at(-1)?.sequence ?? 0;
  }

  /** Returns the next number, of a round that carries no read of its own. */
  nextSequence(): number {
    return ++this.#lastSequence;
  }

  /** Adds a read and returns its sequence. */
  add(index: number, request: Message): number {
    this.#lastSequence++;
    this.#pending.push({ sequence: this.#lastSequence, index, request });
    return this.#lastSequence;
  }

  ack(id: PeerId, sequence: number): void {
    if (sequence <= this.#lastSequence && sequence > this.ackedIndex(id)) this.#acked.set(id, sequence);
  }

  ackedIndex(id: PeerId): number {
    return this.#acked.get(id) ?? 0;
  }

  /** Returns the highest number that a quorum has vouched for. */
  confirmed(conf: ConfState): number {
    return jointCommittedIndex(conf.voters, conf.votersOutgoing, this);
  }

  /** Takes out the reads that a quorum has vouched for, oldest first. */
  takeConfirmed(conf: ConfState): readonly PendingRead[] {
    const confirmed = this.confirmed(conf);
    let count = 0;
    while (count < this.#pending.length && (this.#pending[count] as PendingRead).sequence <= confirmed) count++;
    return this.#pending.splice(0, count);
  }

  /** Drops all reads; the sequence goes on, so that nothing of an earlier term can vouch for a later read. */
  clear(): void {
    this.#pending = [];
    this.#acked.clear();
  }
}
