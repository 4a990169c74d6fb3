/** Steps of time, at an even pace as far as the process gets to run. */
import type { Clock, Scheduler, TimerHandle } from "@rhea/common";

/** What ticking needs. */
export interface TicksOptions {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly tickMs: number;
  /** `isLate`: by more than half a tick, so that the time since the last one was not ticked away in full. */
  onTick(isLate: boolean): void;
}

/** Calls `onTick` every `tickMs`. After a stall of the process ticks are skipped, not made up for: time that nobody could use must not end terms. */
export class Ticks {
  readonly #options: TicksOptions;
  #timer: TimerHandle | undefined;
  #nextMs = 0;
  #isClosed = false;

  constructor(options: TicksOptions) {
    this.#options = options;
  }

  start(): void {
    this.#nextMs = this.#options.clock.monotonicMs();
    this.#schedule();
  }

  /** Whether the next tick should have come long ago: the process stood still, or does not keep up. */
  isOverdue(nowMs: number): boolean {
    return nowMs > this.#nextMs + this.#options.tickMs / 2;
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    const { clock, scheduler, tickMs } = this.#options;
    const nowMs = clock.monotonicMs();
    this.#nextMs = Math.max(this.#nextMs + tickMs, nowMs + tickMs / 2);
    this.#timer = scheduler.setTimer(this.#nextMs - nowMs, () => {
      if (this.#isClosed) return;
      const isLate = this.isOverdue(clock.monotonicMs());
      this.#schedule();
      this.#options.onTick(isLate);
    });
  }
}
