/** Asks checkers and schedulers at the right moments and turns what they propose into operations, within the limits. */
import type { Logger } from "@rhea/common";
import { storeHealth, type Cluster, type RegionView } from "../cluster/index.js";
import type { OperationTable, OperationView, Proposal } from "../operations/index.js";
import {
  Admission,
  checkRegion,
  limitOf,
  proposeBalance,
  SCHEDULERS,
  type ScheduleContext,
} from "../schedule/index.js";

/** Regions asked about per tick, beside those that report. */
const PATROL = 1000;
/** Regions of draining and down stores asked about at once when there is room again. */
const URGENT = 256;
/** Balancing waits until this share of regions has reported to a new PD leader, or this long (ms). */
const WARM_RATIO = 0.9;
const WARM_AFTER_MS = 60_000;

/** What the planner works on. */
export interface PlannerOptions {
  readonly cluster: Cluster;
  readonly operations: OperationTable;
  readonly logger: Logger;
  /** Monotonic ms at which this PD began to lead. */
  readonly leadingSinceMs: number;
  /** Sends the first step of an operation that was not made while its region reported. */
  readonly dispatch: (regionId: number) => void;
}

/** Decides when to ask. */
export class Planner {
  readonly #options: PlannerOptions;
  readonly #admission = new Admission();
  /** Where the patrol goes on. */
  #patrolKey = "";

  constructor(options: PlannerOptions) {
    this.#options = options;
  }

  /** The view that decisions see. */
  context(nowMs: number): ScheduleContext {
    const { cluster, operations } = this.#options;
    return {
      view: cluster,
      nowMs,
      influence: (storeId) => operations.influence(storeId),
      isBusy: (regionId) => operations.of(regionId) !== undefined,
      isHeldBack: (regionId, kind) => operations.isHeldBack(regionId, kind, nowMs),
      failures: (regionId, kind) => operations.failures(regionId, kind),
    };
  }

  /** Asks the checkers about one region and starts what they propose. Its first step is the caller's to send. */
  check(region: RegionView, nowMs: number): OperationView | undefined {
    if (this.#options.cluster.settings.isSchedulingPaused) return undefined;
    const proposal = checkRegion(region, this.context(nowMs));
    return proposal === undefined ? undefined : this.#start(proposal, nowMs);
  }

  /** Asks about regions of stores that should be emptied: called when an operation ended and there may be room. */
  checkUrgent(nowMs: number): void {
    const { cluster } = this.#options;
    let room = URGENT;
    for (const store of cluster.stores.all()) {
      if (store.lifecycle === "tombstone") continue;
      const isLost = storeHealth(store, nowMs, cluster.settings) === "down";
      if (store.lifecycle !== "draining" && !isLost) continue;
      for (const regionId of cluster.regions.usage(store.storeId).regionIds) {
        if (room-- <= 0) return;
        this.#checkAndDispatch(cluster.regions.get(regionId), nowMs);
      }
    }
  }

  /** Goes on with the round over all regions, then asks the schedulers. */
  tick(nowMs: number): void {
    if (this.#options.cluster.settings.isSchedulingPaused) return;
    this.checkUrgent(nowMs);
    this.patrol(nowMs);
    if (this.#isWarm(nowMs)) this.#balance(nowMs);
  }

  /** Asks the checkers about the next {@link PATROL} regions in key order, beginning anew at the end. */
  patrol(nowMs: number): void {
    const regions = this.#options.cluster.regions.scan(this.#patrolKey, "", PATROL);
    for (const region of regions) this.#checkAndDispatch(region, nowMs);
    this.#patrolKey = regions.length < PATROL ? "" : (regions.at(-1)?.endKey ?? "");
  }

  #isWarm(nowMs: number): boolean {
    const { regions } = this.#options.cluster;
    return regions.reportedCount >= regions.size * WARM_RATIO || nowMs - this.#options.leadingSinceMs > WARM_AFTER_MS;
  }

  #balance(nowMs: number): void {
    const { cluster, operations } = this.#options;
    for (const scheduler of SCHEDULERS) {
      const room = limitOf(scheduler.kind, cluster.settings) - operations.countOf(scheduler.kind);
      for (const proposal of proposeBalance(scheduler, this.context(nowMs), room)) {
        const operation = this.#start(proposal, nowMs);
        if (operation !== undefined) this.#options.dispatch(operation.regionId);
      }
    }
  }

  #checkAndDispatch(region: RegionView | undefined, nowMs: number): void {
    if (region === undefined) return;
    const operation = this.check(region, nowMs);
    if (operation !== undefined) this.#options.dispatch(operation.regionId);
  }

  #start(proposal: Proposal, nowMs: number): OperationView | undefined {
    const { cluster, operations, logger } = this.#options;
    const running = operations.countOf(proposal.kind);
    const refusal = this.#admission.admit(proposal, running, cluster.settings, nowMs);
    if (refusal !== undefined) return undefined;
    const outcome = operations.add(proposal, nowMs);
    if (outcome.kind === "added") return outcome.operation;
    if (logger.isEnabled("debug"))
      logger.log("debug", "proposal refused", {
        regionId: proposal.regionId,
        kind: proposal.kind,
        reason: outcome.reason,
      });
    return undefined;
  }
}
