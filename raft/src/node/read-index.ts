/**
 * Linearizable reads of one group: all calls of a turn share one round; a round is asked of the core (which asks the leader and
 * proves leadership by a heartbeat round), gets an index, and is done when that index is applied here.
 */
import type { RheaError } from "@rhea/common";
import type { RawNode } from "../core/index.js";
import { deferred, type Deferred } from "./deferred.js";

interface Round {
  readonly number: number;
  readonly done: Deferred;
  /** Ticks since it was called for. */
  age: number;
  /** What must be applied; 0 until the answer came. */
  index: number;
}

const PREFIX_BYTES = 8;

/** Rounds of reads. */
export class ReadRounds {
  /** Random per start, so that a late answer to an earlier life of this peer is not taken for one of this life. */
  readonly #prefix: Buffer;
  #lastNumber = 0;
  #next: Round | undefined;
  #asked: Round[] = [];
  #confirmed: Round[] = [];

  constructor(prefix: Buffer) {
    this.#prefix = prefix;
  }

  get isEmpty(): boolean {
    return this.#next === undefined && this.#asked.length === 0 && this.#confirmed.length === 0;
  }

  get hasNext(): boolean {
    return this.#next !== undefined;
  }

  /** Joins the round that will be asked for this turn. */
  read(): Promise<void> {
    this.#next ??= newRound(++this.#lastNumber);
    return this.#next.done.promise;
  }

  /** Asks the core for this turn's round; without a leader to ask it fails at once. Returns whether it was asked. */
  ask(raw: RawNode, noLeader: () => RheaError): boolean {
    const round = this.#next;
    if (round === undefined) return false;
    this.#next = undefined;
    if (raw.basicStatus().lead === 0) {
      round.done.reject(noLeader());
      return false;
    }
    this.#asked.push(round);
    raw.readIndex(this.#context(round.number));
    return true;
  }

  /**
   * Asks another leader again, as question or answer may be lost; this peer itself only when it has just begun to lead. The newest round's
   * answer vouches for all before it.
   */
  repeat(raw: RawNode, isNewLeader: boolean): boolean {
    const newest = this.#asked.at(-1);
    const { lead, id } = raw.basicStatus();
    if (newest === undefined || lead === 0 || (lead === id && !isNewLeader)) return false;
    raw.readIndex(this.#context(newest.number));
    return true;
  }

  /** Takes an answer in: it serves the round named and all asked before it. */
  confirm(context: Uint8Array, index: number): void {
    if (context.length !== PREFIX_BYTES + 8 || this.#prefix.compare(context, 0, PREFIX_BYTES) !== 0) return;
    const view = new DataView(context.buffer, context.byteOffset, context.length);
    const number = view.getUint32(PREFIX_BYTES) * 2 ** 32 + view.getUint32(PREFIX_BYTES + 4);
    let count = 0;
    for (const round of this.#asked) {
      if (round.number > number) break;
      round.index = index;
      this.#confirmed.push(round);
      count++;
    }
    if (count > 0) this.#asked.splice(0, count);
  }

  /** Ends the rounds that `applied` serves. */
  resolve(applied: number): void {
    if (this.#confirmed.length === 0) return;
    const ready = this.#confirmed.filter((round) => round.index <= applied);
    if (ready.length === 0) return;
    this.#confirmed = this.#confirmed.filter((round) => round.index > applied);
    for (const round of ready) round.done.resolve();
  }

  /** Lets a tick pass and rejects what has waited `limit` ticks for an answer. */
  tick(limit: number, why: () => RheaError): void {
    if (this.#asked.length === 0) return;
    for (const round of this.#asked) round.age++;
    const expired = this.#asked.filter((round) => round.age >= limit);
    if (expired.length === 0) return;
    this.#asked = this.#asked.filter((round) => round.age < limit);
    for (const round of expired) round.done.reject(why());
  }

  /** Rejects all that has no answer yet; with `everything` also what waits to be applied. */
  reject(error: RheaError, everything: boolean): void {
    const gone = [
      ...(this.#next === undefined ? [] : [this.#next]),
      ...this.#asked,
      ...(everything ? this.#confirmed : []),
    ];
    this.#next = undefined;
    this.#asked = [];
    if (everything) this.#confirmed = [];
    for (const round of gone) round.done.reject(error);
  }

  #context(number: number): Uint8Array {
    const out = Buffer.alloc(PREFIX_BYTES + 8);
    this.#prefix.copy(out, 0, 0, PREFIX_BYTES);
    out.writeUInt32BE(Math.floor(number / 2 ** 32), PREFIX_BYTES);
    out.writeUInt32BE(number % 2 ** 32, PREFIX_BYTES + 4);
    return out;
  }
}

function newRound(number: number): Round {
  return { number, done: deferred(), age: 0, index: 0 };
}
