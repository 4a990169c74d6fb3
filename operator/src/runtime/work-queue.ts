/** A queue of keys to work on, with the rules of client-go's work queue. */
import { InvariantError, type Clock, type Scheduler, type TimerHandle } from "@rhea/common";
import type { QueueMetrics } from "./metrics.js";

const BASE_DELAY_MS = 100;
const MAX_DELAY_MS = 60_000;

/**
 * Keys that wait for work. A key waits at most once; a key that is added while it is worked on waits again when that work is done.
 * Invariant: a key is worked on by one taker at a time.
 */
export interface WorkQueue {
  /** Adds a key now. A delay that was set for it stays set. */
  add(key: string): void;
  /** Adds a key after `delayMs`; of several delays for one key the earliest counts. */
  addAfter(key: string, delayMs: number): void;
  /** Adds a key after a delay that doubles with each call since {@link WorkQueue.forget}. */
  addRateLimited(key: string): void;
  /** Ends the back-off of a key: its work went well. */
  forget(key: string): void;
  /** Returns how often a key was added rate-limited since it was forgotten. */
  retries(key: string): number;
  /** Takes the next key, waiting for one; undefined once the queue is closed. {@link WorkQueue.done} must follow. */
  take(): Promise<string | undefined>;
  /** Ends work on a key that was taken. */
  done(key: string): void;
  /** Keys that wait now; delayed keys and those worked on do not count. */
  readonly depth: number;
  /** Keys whose delay runs. */
  readonly delayed: number;
  /** Drops all keys and delays and wakes the takers. */
  close(): void;
}

/** What a queue is made with. */
export interface WorkQueueOptions {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly metrics?: QueueMetrics;
  /** First delay of the back-off, in milliseconds. Default 100. */
  readonly baseDelayMs?: number;
  /** Longest delay of the back-off, in milliseconds. Default 60,000. */
  readonly maxDelayMs?: number;
}

/** Makes an empty queue. */
export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  const { clock, scheduler, metrics } = options;
  const baseDelayMs = options.baseDelayMs ?? BASE_DELAY_MS;
  const maxDelayMs = options.maxDelayMs ?? MAX_DELAY_MS;
  /** Invariant: every waiting key is dirty; a dirty key that does not wait is being worked on. */
  const waiting: string[] = [];
  /** Dirty key -> when it was added. */
  const dirty = new Map<string, number>();
  /** Key worked on -> when it was taken. */
  const working = new Map<string, number>();
  const delays = new Map<string, { readonly dueMs: number; readonly timer: TimerHandle }>();
  const failures = new Map<string, number>();
  const takers: ((key: string | undefined) => void)[] = [];
  let isClosed = false;

  function add(key: string): void {
    if (isClosed || dirty.has(key)) return;
    metrics?.added();
    dirty.set(key, clock.monotonicMs());
    if (!working.has(key)) enqueue(key);
  }

  function enqueue(key: string): void {
    waiting.push(key);
    metrics?.depth(waiting.length);
    takers.shift()?.(next());
  }

  function next(): string | undefined {
    const key = waiting.shift();
    if (key === undefined) return undefined;
    const now = clock.monotonicMs();
    metrics?.depth(waiting.length);
    metrics?.taken((now - (dirty.get(key) ?? now)) / 1000);
    dirty.delete(key);
    working.set(key, now);
    return key;
  }

  function addAfter(key: string, delayMs: number): void {
    if (isClosed) return;
    if (delayMs <= 0) {
      add(key);
      return;
    }
    const dueMs = clock.monotonicMs() + delayMs;
    const present = delays.get(key);
    if (present !== undefined && present.dueMs <= dueMs) return;
    present?.timer.cancel();
    const timer = scheduler.setTimer(delayMs, () => {
      delays.delete(key);
      add(key);
    });
    delays.set(key, { dueMs, timer });
  }

  return {
    add,
    addAfter,
    addRateLimited(key) {
      const count = failures.get(key) ?? 0;
      failures.set(key, count + 1);
      metrics?.retried();
      addAfter(key, Math.min(maxDelayMs, baseDelayMs * 2 ** Math.min(count, 30)));
    },
    forget: (key) => void failures.delete(key),
    retries: (key) => failures.get(key) ?? 0,
    take() {
      if (isClosed) return Promise.resolve(undefined);
      const key = next();
      return key === undefined ? new Promise((resolve) => takers.push(resolve)) : Promise.resolve(key);
    },
    done(key) {
      const takenAt = working.get(key);
      if (takenAt === undefined) throw new InvariantError(`work queue: done("${key}") without take`);
      working.delete(key);
      metrics?.finished((clock.monotonicMs() - takenAt) / 1000);
      if (dirty.has(key)) enqueue(key);
    },
    get depth() {
      return waiting.length;
    },
    get delayed() {
      return delays.size;
    },
    close() {
      isClosed = true;
      for (const { timer } of delays.values()) timer.cancel();
      delays.clear();
      waiting.length = 0;
      dirty.clear();
      metrics?.depth(0);
      for (const taker of takers.splice(0)) taker(undefined);
    },
  };
}
