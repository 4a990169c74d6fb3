/** Exactly-once identities: which client id and sequence number a write carries. Pure. */
import type { Rng } from "@rhea/common";

/** Seqs between the lowest outstanding and the newest that a store remembers per client. */
export const SESSION_WINDOW = 4096;

/**
 * One client id with its sequence numbers. A seq stays outstanding until its write has an answer or was given up; stores forget the
 * results below the lowest outstanding one.
 * Invariant: lowest <= every outstanding seq < next, and next - lowest <= {@link SESSION_WINDOW}.
 */
export class Session {
  readonly clientId: Buffer;
  #next = 1;
  #lowest = 1;
  /** How many commands carry a seq (parts of a divided list share one), by seq modulo the window. */
  readonly #holders = new Uint16Array(SESSION_WINDOW);

  constructor(clientId: Buffer) {
    this.clientId = clientId;
  }

  /** The least seq whose answer is still awaited; the next one to be used if there is none. */
  get lowestOutstanding(): number {
    return this.#lowest;
  }

  get isFull(): boolean {
    return this.#next - this.#lowest >= SESSION_WINDOW;
  }

  /** Takes the next seq. Only while not full. */
  begin(): number {
    const seq = this.#next++;
    this.#holders[seq % SESSION_WINDOW] = 1;
    return seq;
  }

  /** Says that one more command carries `seq`, which is outstanding. */
  share(seq: number): void {
    const slot = seq % SESSION_WINDOW;
    this.#holders[slot] = (this.#holders[slot] ?? 0) + 1;
  }

  /** Says that one command with `seq` needs no answer any more. */
  end(seq: number): void {
    const slot = seq % SESSION_WINDOW;
    this.#holders[slot] = (this.#holders[slot] ?? 1) - 1;
    while (this.#lowest < this.#next && this.#holders[this.#lowest % SESSION_WINDOW] === 0) this.#lowest++;
  }
}

/**
 * The sessions of one client. One write that hangs keeps its session's window from moving; further writes then go to a session of a new
 * client id, so that a region in trouble does not hold up the others.
 */
export class Sessions {
  readonly #rng: Rng;
  #current: Session;
  /** Sessions begun so far. */
  count = 1;

  constructor(rng: Rng) {
    this.#rng = rng;
    this.#current = new Session(rng.bytes(16));
  }

  /** The session for the next write; it has room. */
  current(): Session {
    if (this.#current.isFull) {
      this.#current = new Session(this.#rng.bytes(16));
      this.count++;
    }
    return this.#current;
  }
}
