/**
 * Virtual time. One queue holds all that will happen; equal times go by order of planning, so a seed replays exactly. Each operator gets
 * a clock and a scheduler of its own, which die with it: what a killed process had planned never runs.
 */
import type { Clock, Scheduler, TimerHandle } from "@rhea/common";

interface Planned {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | undefined;
}

/** Wall clock at the beginning of every world, Unix ms. */
const EPOCH_MS = 1_700_000_000_000;

/** The queue of all that will happen. */
export interface VirtualTime {
  readonly nowMs: number;
  /** How many events have run. */
  readonly count: number;
  /** Plans `run` in `delayMs` (>= 0) virtual ms. */
  plan(delayMs: number, run: () => void): TimerHandle;
  /** Runs events until the given time, or until `isDone` says so after one of them; promises settle after each. */
  runUntil(untilMs: number, isDone?: () => boolean): Promise<void>;
  /** The time of day, as Kubernetes writes it. */
  timestamp(): string;
}

/** Makes an empty queue at time 0. */
export function createVirtualTime(): VirtualTime {
  const heap: Planned[] = [];
  let nowMs = 0;
  let order = 0;
  let count = 0;
  return {
    get nowMs() {
      return nowMs;
    },
    get count() {
      return count;
    },
    plan(delayMs, run) {
      const event: Planned = { atMs: nowMs + Math.max(0, delayMs), order: order++, run };
      push(heap, event);
      return {
        cancel: () => {
          event.run = undefined;
        },
      };
    },
    async runUntil(untilMs, isDone) {
      await settle();
      for (;;) {
        const next = heap[0];
        if (next === undefined || next.atMs > untilMs) break;
        pop(heap);
        if (next.run === undefined) continue;
        nowMs = next.atMs;
        count++;
        next.run();
        await settle();
        if (isDone?.() === true) return;
      }
      nowMs = Math.max(nowMs, untilMs);
    },
    timestamp: () => new Date(EPOCH_MS + nowMs).toISOString().replace(/\.\d+Z$/, "Z"),
  };
}

/** Resolves when every promise callback that can run now has run: Node takes its tick queue up only when there is none left. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}

function isBefore(a: Planned, b: Planned): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

function push(heap: Planned[], event: Planned): void {
  let at = heap.push(event) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || !isBefore(event, above)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = event;
}

function pop(heap: Planned[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
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
}

/** The time of one process. */
export interface ProcessTime {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly isAlive: boolean;
  /** Nothing planned by this process runs any more. */
  kill(): void;
  /** Holds everything of this process back for a while, as SIGSTOP or a starved node does. */
  pause(durationMs: number): void;
}

/** Gives a process its time; its monotonic clock starts now. */
export function createProcessTime(time: VirtualTime): ProcessTime {
  const bornMs = time.nowMs;
  let isAlive = true;
  let pausedUntilMs = 0;
  const set = (delayMs: number, run: () => void): TimerHandle => {
    let isCancelled = false;
    const fire = (): void => {
      if (!isAlive || isCancelled) return;
      if (time.nowMs < pausedUntilMs) time.plan(pausedUntilMs - time.nowMs, fire);
      else run();
    };
    const planned = time.plan(delayMs, fire);
    return {
      cancel: () => {
        isCancelled = true;
        planned.cancel();
      },
    };
  };
  return {
    clock: { monotonicMs: () => time.nowMs - bornMs, wallMs: () => EPOCH_MS + Math.floor(time.nowMs) },
    scheduler: { setTimer: set, nextTurn: (run) => void set(0, run) },
    get isAlive() {
      return isAlive;
    },
    kill: () => {
      isAlive = false;
    },
    pause: (durationMs) => {
      pausedUntilMs = Math.max(pausedUntilMs, time.nowMs + durationMs);
    },
  };
}
