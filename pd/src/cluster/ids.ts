/** Ids come from one sequence. Invariant: an id is given out only below an `end` that is durable; after a restart the next id is that end. */

/** The part of the sequence that may be given out now. */
export class IdWindow {
  /** Invariant: next <= end. */
  #next: number;
  #end: number;

  /** `end`: the durable end so far; the window starts empty there. */
  constructor(end: number) {
    this.#next = end;
    this.#end = end;
  }

  /** Ids that can be taken at once. */
  get available(): number {
    return this.#end - this.#next;
  }

  /** The first id that was never given out. */
  get next(): number {
    return this.#next;
  }

  /** The durable end. */
  get end(): number {
    return this.#end;
  }

  /** Takes `count` (>= 1) consecutive ids and returns the first, or undefined when the window is too short. */
  take(count: number): number | undefined {
    if (this.available < count) return undefined;
    const first = this.#next;
    this.#next += count;
    return first;
  }

  /** Widens the window to `end`, which must be durable. Never narrows it. */
  extend(end: number): void {
    this.#end = Math.max(this.#end, end);
  }
}
