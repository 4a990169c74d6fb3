/** What all groups of a process together may have on proposals that are not applied yet. */
export class ProposalBudget {
  readonly #maxCount: number;
  readonly #maxBytes: number;
  readonly #waiting = new Set<() => void>();
  #count = 0;
  #bytes = 0;

  /** Both limits are above 0. */
  constructor(maxCount: number, maxBytes: number) {
    this.#maxCount = maxCount;
    this.#maxBytes = maxBytes;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether one more proposal of so many bytes fits; one alone always does. */
  hasRoom(bytes: number): boolean {
    return this.#count === 0 || (this.#count < this.#maxCount && this.#bytes + bytes <= this.#maxBytes);
  }

  take(bytes: number): void {
    this.#count++;
    this.#bytes += bytes;
  }

  /** Gives back what one proposal had; those who wait look again. */
  give(bytes: number): void {
    this.#count--;
    this.#bytes -= bytes;
    if (this.#waiting.size === 0) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** Calls `wake` once, when something was given back. */
  wait(wake: () => void): void {
    this.#waiting.add(wake);
  }

  /** Calls it no more. */
  leave(wake: () => void): void {
    this.#waiting.delete(wake);
  }
}
