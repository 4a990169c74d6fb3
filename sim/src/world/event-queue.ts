/**
 * Virtual time. One queue holds all that will happen; ties go by order of scheduling, so a seed replays exactly. Each
 * node gets its own clock and scheduler, which die with the node's process: what a dead process had planned never runs.
 */
import type { Clock, Scheduler, TimerHandle } from "@rhea/common";
import { drainMicrotasks } from "../env-node/drain.js";

/** A class, as its handle and without closures: tens of thousands are made per virtual second. */
class Event implements TimerHandle {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | undefined;

  constructor(atMs: number, order: number, run: () => void) {
    this.atMs = atMs;
    this.order = order;
    this.run = run;
  }

  cancel(): void {
    this.run = undefined;
  }
}

/** What may hold a process's events back. */
interface ProcessState {
  isAlive: boolean;
  pausedUntilMs: number;
}

/** An event of a process: never runs once that is dead, waits while it is paused. */
class ProcessEvent implements TimerHandle {
  readonly #queue: EventQueue;
  readonly #process: ProcessState;
  readonly #run: () => void;
  #planned: TimerHandle;

  constructor(queue: EventQueue, process: ProcessState, delayMs: number, run: () => void) {
    this.#queue = queue;
    this.#process = process;
    this.#run = run;
    this.#planned = queue.plan(delayMs, () => {
      this.#fire();
    });
  }

  cancel(): void {
    this.#planned.cancel();
  }

  #fire(): void {
    if (!this.#process.isAlive) return;
    const waitMs = this.#process.pausedUntilMs - this.#queue.nowMs;
    if (waitMs <= 0) this.#run();
    else
      this.#planned = this.#queue.plan(waitMs, () => {
        this.#fire();
      });
  }
}

/** The queue of all events. */
export interface EventQueue {
  readonly nowMs: number;
  /** How many events have run. */
  readonly count: number;
  /** Plans `run` in `delayMs` (>= 0) virtual ms. */
  plan(delayMs: number, run: () => void): TimerHandle;
  /** Runs events until the given time or until none is left; after each one promises settle, then `afterEach` runs. */
  runUntil(untilMs: number, afterEach?: () => void): Promise<void>;
}

/** Makes an empty queue at time 0. */
export function createEventQueue(): EventQueue {
  const heap: Event[] = [];
  let nowMs = 0;
  let order = 0;
  let count = 0;
  const isBefore = (a: Event, b: Event): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

  const push = (event: Event): void => {
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(event, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  };
  const pop = (): Event | undefined => {
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      let least = heap[child];
      if (least === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, least)) {
        child++;
        least = right;
      }
      if (!isBefore(least, last)) break;
      heap[at] = least;
      at = child;
    }
    heap[at] = last;
    return first;
  };

  return {
    get nowMs() {
      return nowMs;
    },
    get count() {
      return count;
    },
    plan(delayMs, run) {
      const event = new Event(nowMs + Math.max(0, delayMs), order++, run);
      push(event);
      return event;
    },
    async runUntil(untilMs, afterEach) {
      await drainMicrotasks();
      for (;;) {
        const next = heap[0];
        if (next === undefined || next.atMs > untilMs) break;
        pop();
        if (next.run === undefined) continue;
        nowMs = next.atMs;
        count++;
        next.run();
        await drainMicrotasks();
        afterEach?.();
      }
      nowMs = Math.max(nowMs, untilMs);
    },
  };
}

/** The time of one process: may drift, jump and pause; ends with the process. */
export interface ProcessTime {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** Nothing planned by this process runs any more. */
  kill(): void;
  /** Holds back everything of this process until `durationMs` have passed, as SIGSTOP does. */
  pause(durationMs: number): void;
  /** Moves the wall clock. */
  jumpWall(deltaMs: number): void;
}

/** Gives a process its time. `rate`: speed of its clock against the world's (1 = exact). */
export function createProcessTime(
  queue: EventQueue,
  options: { readonly rate: number; readonly wallOffsetMs: number },
): ProcessTime {
  const bornMs = queue.nowMs;
  const state: ProcessState = { isAlive: true, pausedUntilMs: 0 };
  let wallJumpMs = 0;
  const monotonicMs = (): number => (queue.nowMs - bornMs) * options.rate;
  return {
    clock: {
      monotonicMs,
      wallMs: () => Math.round(1_700_000_000_000 + queue.nowMs * options.rate + options.wallOffsetMs + wallJumpMs),
    },
    scheduler: {
      setTimer: (delayMs, run) => new ProcessEvent(queue, state, delayMs / options.rate, run),
      nextTurn: (run) => {
        new ProcessEvent(queue, state, 0, run);
      },
    },
    kill: () => {
      state.isAlive = false;
    },
    pause: (durationMs) => {
      state.pausedUntilMs = Math.max(state.pausedUntilMs, queue.nowMs + durationMs);
    },
    jumpWall: (deltaMs) => {
      wallJumpMs += deltaMs;
    },
  };
}
