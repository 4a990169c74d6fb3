import type { Clock, Scheduler } from "@rhea/common";

/** What may be sent at once after a rest. Ms of the rate. */
const BURST_MS = 100;

/** What pacing needs. */
export interface SendingPaceOptions {
  readonly maxBytesPerSecond: number;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
}

/** Spreads what several transfers send over time. */
export class SendingPace {
  readonly #options: SendingPaceOptions;
  /** Monotonic ms at which what was sent until now is paid for. */
  #paidUntilMs = 0;

  constructor(options: SendingPaceOptions) {
    this.#options = options;
  }

  /** Resolves when so many bytes may be sent. Who asks first goes first. */
  async wait(bytes: number): Promise<void> {
    const { maxBytesPerSecond, clock, scheduler } = this.#options;
    const nowMs = clock.monotonicMs();
    const startMs = Math.max(this.#paidUntilMs, nowMs - BURST_MS);
    this.#paidUntilMs = startMs + (bytes / maxBytesPerSecond) * 1_000;
    const delayMs = this.#paidUntilMs - nowMs;
    if (delayMs <= 0) return;
    await new Promise<void>((resolve) => {
      scheduler.setTimer(delayMs, resolve);
    });
  }
}
