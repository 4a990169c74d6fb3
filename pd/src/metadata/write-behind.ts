/**
 * Writes region changes and requested operations some time after they happened, one batch at a time. The heartbeats would bring a lost
 * region change again, so nobody waits for it; what must be durable first (ids, stores, bootstrap) does not pass here.
 */
import { RheaError, type Logger, type Scheduler, type TimerHandle } from "@rhea/common";
import type { RegionDescriptor } from "../cluster/index.js";
import type { OperationView } from "../operations/index.js";
import type { Records } from "./records.js";

const RETRY_MS = 1000;
/** Regions per batch: below the message limit by far. */
const BATCH = 1000;

/** The queue. */
export class WriteBehind {
  readonly #records: Records;
  readonly #scheduler: Scheduler;
  readonly #logger: Logger;
  /** Region id -> what to write; undefined: remove. */
  readonly #regions = new Map<number, RegionDescriptor | undefined>();
  /** Operation id -> what to write; undefined: remove. */
  readonly #operations = new Map<number, OperationView | undefined>();
  #isScheduled = false;
  #isClosed = false;
  #retry: TimerHandle | undefined;
  #flushing: Promise<void> = Promise.resolve();

  constructor(records: Records, scheduler: Scheduler, logger: Logger) {
    this.#records = records;
    this.#scheduler = scheduler;
    this.#logger = logger;
  }

  /** Region changes that are not durable yet. */
  get pending(): number {
    return this.#regions.size + this.#operations.size;
  }

  saveRegion(region: RegionDescriptor): void {
    const { regionId, startKey, endKey, confVer, version, peers } = region;
    this.#regions.set(regionId, { regionId, startKey, endKey, confVer, version, peers });
    this.#schedule();
  }

  removeRegion(regionId: number): void {
    this.#regions.set(regionId, undefined);
    this.#schedule();
  }

  saveOperation(operation: OperationView): void {
    this.#operations.set(operation.operationId, operation);
    this.#schedule();
  }

  removeOperation(operationId: number): void {
    this.#operations.set(operationId, undefined);
    this.#schedule();
  }

  /** Writes everything that is queued now; throws what the last batch threw. */
  async flush(): Promise<void> {
    this.#flushing = this.#flushing.catch(() => undefined).then(() => this.#writeAll());
    return this.#flushing;
  }

  /** Stops; what is queued and not durable is forgotten. */
  close(): void {
    this.#isClosed = true;
    this.#retry?.cancel();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    this.#scheduler.nextTurn(() => {
      this.#isScheduled = false;
      if (!this.#isClosed) this.flush().catch((error: unknown) => this.#onFailure(error));
    });
  }

  #onFailure(thrown: unknown): void {
    if (this.#isClosed) return;
    const error = RheaError.from(thrown);
    this.#logger.log("warn", "metadata write failed, tries again", {
      code: error.code,
      error: error.message,
      pending: this.pending,
    });
    this.#retry?.cancel();
    this.#retry = this.#scheduler.setTimer(RETRY_MS, () => this.#schedule());
  }

  async #writeAll(): Promise<void> {
    while (this.#regions.size > 0 && !this.#isClosed) {
      const batch = [...this.#regions].slice(0, BATCH);
      const changed = batch.flatMap(([, region]) => region ?? []);
      const removed = batch.flatMap(([regionId, region]) => (region === undefined ? [regionId] : []));
      await this.#records.saveRegions(changed, removed);
      for (const [regionId, region] of batch)
        if (this.#regions.get(regionId) === region) this.#regions.delete(regionId);
    }
    for (const [operationId, operation] of [...this.#operations]) {
      if (operation === undefined) await this.#records.removeOperation(operationId);
      else await this.#records.saveOperation(operation, operation.createdAtMs);
      if (this.#operations.get(operationId) === operation) this.#operations.delete(operationId);
    }
  }
}
