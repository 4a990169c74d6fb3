/** Workers that take keys from a queue and reconcile them. */
import { RheaError, type Clock, type Logger } from "@rhea/common";
import type { ReconcileOutcome } from "./metrics.js";
import type { WorkQueue } from "./work-queue.js";

/** What a reconcile wants next. Nothing: it comes again when something changes. */
export interface ReconcileResult {
  /** Milliseconds after which to look again. */
  readonly requeueAfterMs?: number;
}

/** Brings what `key` names closer to what is wanted. `signal` fires when the controller closes. */
export type Reconcile = (key: string, signal: AbortSignal) => Promise<ReconcileResult>;

/** A set of workers. */
export interface Controller {
  start(): void;
  /** Fires the signal, closes the queue and waits for the reconciles under way. */
  close(): Promise<void>;
}

/** What a controller is made with. */
export interface ControllerOptions {
  /** For logs and metrics: `rheacluster`. */
  readonly name: string;
  readonly queue: WorkQueue;
  readonly reconcile: Reconcile;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Keys worked on at a time. Default 1. */
  readonly workers?: number;
  readonly metrics?: { reconciled(controller: string, outcome: ReconcileOutcome, seconds: number): void };
}

/**
 * Makes a controller. A reconcile that fails is logged once and comes again after the queue's back-off, or after the error's
 * `retryAfterMs` where that is longer; one that goes well ends the back-off of its key.
 */
export function createController(options: ControllerOptions): Controller {
  const { name, queue, clock, logger } = options;
  const closing = new AbortController();
  let workers: Promise<void>[] = [];

  async function reconcile(key: string): Promise<ReconcileOutcome> {
    try {
      const { requeueAfterMs } = await options.reconcile(key, closing.signal);
      queue.forget(key);
      if (requeueAfterMs === undefined) return "success";
      queue.addAfter(key, requeueAfterMs);
      return "requeue_after";
    } catch (thrown) {
      if (closing.signal.aborted) return "success"; // cut off by us: no failure, and nobody waits for the key
      const error = RheaError.from(thrown);
      // A conflict says that the cache was old: the next look is right.
      logger.log(error.code === "KUBE_CONFLICT" ? "info" : "error", "reconcile failed", {
        controller: name,
        key,
        code: error.code,
        error: error.message,
        retries: queue.retries(key),
        ...(error.code === "INTERNAL" ? { stack: error.stack } : {}),
      });
      if (error.details.retryAfterMs === undefined) queue.addRateLimited(key);
      else queue.addAfter(key, error.details.retryAfterMs);
      return "error";
    }
  }

  async function work(): Promise<void> {
    for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
      const startedAt = clock.monotonicMs();
      const outcome = await reconcile(key);
      options.metrics?.reconciled(name, outcome, (clock.monotonicMs() - startedAt) / 1000);
      queue.done(key);
    }
  }

  return {
    start() {
      if (workers.length === 0) workers = Array.from({ length: options.workers ?? 1 }, work);
    },
    async close() {
      closing.abort();
      queue.close();
      await Promise.all(workers);
    },
  };
}
