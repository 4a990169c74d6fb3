/**
 * Region time: the last replicated stamp plus the monotonic time that this process has measured since it saw it. A wrong wall clock can
 * neither expire everything nor stop time; downtime only lengthens leases. The wall clock counts once: for a region's first stamp.
 */
import type { Clock } from "@rhea/common";

/** One region's time on one replica. Stamps are Unix-like milliseconds. */
export class RegionTime {
  readonly #clock: Clock;
  #stamp: number;
  #seenAtMs: number;

  constructor(clock: Clock, stamp: number) {
    this.#clock = clock;
    this.#stamp = stamp;
    this.#seenAtMs = clock.monotonicMs();
  }

  /** The newest applied stamp; replicated. Never goes back. */
  get stamp(): number {
    return this.#stamp;
  }

  /** The stamp for an entry proposed now. */
  now(): number {
    if (this.#stamp === 0) return Math.floor(this.#clock.wallMs());
    return Math.floor(this.#stamp + this.#clock.monotonicMs() - this.#seenAtMs);
  }

  /** Takes the stamp of an applied entry. */
  advance(stamp: number): void {
    if (stamp <= this.#stamp) return;
    this.#stamp = stamp;
    this.#seenAtMs = this.#clock.monotonicMs();
  }
}
