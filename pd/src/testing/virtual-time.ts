/** A clock and scheduler that stand still until told: for tests that cover hours in milliseconds. */
import type { Clock, Scheduler, TimerHandle } from "@rhea/common";

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
  isCancelled: boolean;
}

/** Longest chain of promises that the code under test waits through without a timer. */
const PROMISE_HOPS = 64;

/** Virtual time. Starts at 1,000 ms so that 0 is never a valid moment. */
export class VirtualTime implements Clock, Scheduler {
  #nowMs = 1000;
  #order = 0;
  #timers: Timer[] = [];
  #turn: (() => void)[] = [];

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  setTimer(delayMs: number, run: () => void): TimerHandle {
    const timer: Timer = { atMs: this.#nowMs + delayMs, order: this.#order++, run, isCancelled: false };
    this.#timers.push(timer);
    return { cancel: () => (timer.isCancelled = true) };
  }

  nextTurn(run: () => void): void {
    this.#turn.push(run);
  }

  /** Lets `ms` pass: runs turns, promises and timers in order. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      await this.settle();
      const next = this.#earliest();
      if (next === undefined || next.atMs > endMs) break;
      this.#timers = this.#timers.filter((timer) => timer !== next && !timer.isCancelled);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
    }
    this.#nowMs = endMs;
  }

  /** Runs what can run without time passing. */
  async settle(): Promise<void> {
    do {
      for (const run of this.#turn.splice(0)) run();
      for (let i = 0; i < PROMISE_HOPS; i++) await Promise.resolve();
    } while (this.#turn.length > 0);
  }

  #earliest(): Timer | undefined {
    let best: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.isCancelled) continue;
      if (best === undefined || timer.atMs < best.atMs || (timer.atMs === best.atMs && timer.order < best.order))
        best = timer;
    }
    return best;
  }
}
