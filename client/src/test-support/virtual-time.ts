/** A clock and scheduler that move only when a test says so. */
import type { Clock, Rng, Scheduler, TimerHandle } from "@rhea/common";

interface Timer extends TimerHandle {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Microtask rounds after which promise chains are taken to have come to rest. */
const MICROTASK_ROUNDS = 60;

/** Virtual time: turns run before timers, timers in order of time and age. */
export class VirtualTime {
  readonly clock: Clock = { monotonicMs: () => this.#nowMs, wallMs: () => 1_700_000_000_000 + this.#nowMs };
  readonly scheduler: Scheduler = {
    setTimer: (delayMs, run) => {
      const timer: Timer = {
        atMs: this.#nowMs + Math.max(0, delayMs),
        order: this.#order++,
        run,
        cancel: () => this.#timers.delete(timer),
      };
      this.#timers.add(timer);
      return timer;
    },
    nextTurn: (run) => {
      this.#turns.push(run);
    },
  };
  #nowMs = 0;
  #order = 0;
  #turns: (() => void)[] = [];
  readonly #timers = new Set<Timer>();

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Runs turns and microtasks until neither is left; time stands still. */
  async settle(): Promise<void> {
    for (;;) {
      for (let i = 0; i < MICROTASK_ROUNDS; i++) await Promise.resolve();
      const turns = this.#turns;
      if (turns.length === 0) return;
      this.#turns = [];
      for (const run of turns) run();
    }
  }

  /** Lets `ms` pass. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await this.settle();
    for (let timer = this.#next(); timer !== undefined && timer.atMs <= untilMs; timer = this.#next()) {
      await this.#fire(timer);
    }
    this.#nowMs = untilMs;
  }

  /** Lets time pass until the promise has settled, and returns what it settled to. Throws when nothing is left that could settle it. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const mark = (): void => {
      isSettled = true;
    };
    promise.then(mark, mark);
    const hasSettled = (): boolean => isSettled;
    await this.settle();
    while (!hasSettled()) {
      const timer = this.#next();
      if (timer === undefined) throw new Error(`at ${this.#nowMs} ms nothing is left to run and the call hangs`);
      await this.#fire(timer);
    }
    return promise;
  }

  #next(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (first === undefined || timer.atMs < first.atMs || (timer.atMs === first.atMs && timer.order < first.order)) {
        first = timer;
      }
    }
    return first;
  }

  async #fire(timer: Timer): Promise<void> {
    this.#timers.delete(timer);
    this.#nowMs = Math.max(this.#nowMs, timer.atMs);
    timer.run();
    await this.settle();
  }
}

/** A small deterministic source of randomness (xorshift32). */
export function seededRng(seed: number): Rng {
  let state = seed | 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  return {
    int: (bound) => next() % bound,
    bytes: (length) => Buffer.from(Array.from({ length }, () => next() & 0xff)),
  };
}
