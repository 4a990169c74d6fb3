/** Notices a disk that does not answer, apart from a process that does not get to hear its answers. */
import type { LogStats } from "../log/api.js";

/** Looks at the log once per tick. */
export class DiskWatch {
  readonly #limitTicks: number;
  readonly #limitMs: number;
  #syncs = -1;
  #ticks = 0;

  /** `limitTicks`: for how many ticks a write may wait, and as long. */
  constructor(limitTicks: number, tickMs: number) {
    this.#limitTicks = limitTicks;
    this.#limitMs = limitTicks * tickMs;
  }

  /** Whether a write has been waiting for too long, while so many ticks brought no answer to any. */
  isStalled({ oldestPendingMs, syncs }: LogStats): boolean {
    if (syncs !== this.#syncs || oldestPendingMs === 0) {
      this.#syncs = syncs;
      this.#ticks = 0;
      return false;
    }
    this.#ticks++;
    return this.#ticks >= this.#limitTicks && oldestPendingMs > this.#limitMs;
  }
}
