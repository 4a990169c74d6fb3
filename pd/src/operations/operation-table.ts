/**
 * The running operations, at most one per region, and a ring of finished ones. It judges progress by region reports and hands out the
 * step to send; it neither decides what to do nor talks to anyone.
 */
import { ERROR_CODES, isErrorCode } from "@rhea/common";
import type { OperationStepInit, StepResult } from "@rhea/proto";
import { regionScore, storeHealth, type ClusterView, type RegionView } from "../cluster/index.js";
import type { OperationKind, OperationState, OperationView, Proposal } from "./operation.js";
import { judgeProgress, nextCommand } from "./progress.js";
import { describeStep, stepToProto, STEP_TIMEOUT_MS, type Step } from "./step.js";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
interface OperationRecord extends Mutable<OperationView> {
  /** When the present step was last handed out; 0: not yet. */
  sentAtMs: number;
  /** No step is handed out before: the last one met an obstacle that may pass. */
  heldUntilMs: number;
}

/** What running operations will add to a store (negative: take from it). */
export interface Influence {
  readonly regions: number;
  readonly leaders: number;
  /** Bytes, as {@link regionScore} counts. */
  readonly sizeScore: number;
  /** Peers being added. */
  readonly incoming: number;
}

/** Gives out ids, or undefined when none are at hand this moment. */
export type TakeIds = (count: number) => number | undefined;

/** What {@link OperationTable.add} did. */
export type AddOutcome =
  { readonly kind: "added"; readonly operation: OperationView } | { readonly kind: "refused"; readonly reason: string };

/** An operation that no leader has ever answered for this long is given up, ms. */
const EXPIRE_MS = 30_000;
const FINISHED_KEPT = 1000;
/** After a failure the same kind is not tried again on the region for this long, doubling up to the maximum, ms. */
const RETRY_BASE_MS = 5000;
const RETRY_MAX_MS = 300_000;
/** A step that met a passing obstacle is sent again after this long, one that was not answered after that long, ms. */
const HOLD_MS = 300;
const RESEND_MS = 2000;
/** A step that was handed out and never seen done may still be carried out for this long after its operation ended, ms. */
const STRAY_MS = 30_000;
const NO_INFLUENCE: Influence = { regions: 0, leaders: 0, sizeScore: 0, incoming: 0 };

/** The operations. */
export class OperationTable {
  readonly #running = new Map<number, OperationRecord>();
  readonly #finished: OperationView[] = [];
  readonly #countByKind = new Map<OperationKind, number>();
  readonly #totals = new Map<string, { kind: OperationKind; state: OperationState; count: number }>();
  /** Region and kind -> when it may be tried again. */
  readonly #retries = new Map<string, { atMs: number; failures: number }>();
  /** Store -> until when a peer may appear there that an operation asked for and did not live to see. */
  readonly #strayAdds = new Map<number, number>();
  #influence: Map<number, Mutable<Influence>> | undefined;
  readonly #view: ClusterView;
  readonly #takeIds: TakeIds;
  readonly #onChange: (operation: OperationView) => void;

  /** `onChange` hears of every operation that begins or ends. */
  constructor(view: ClusterView, takeIds: TakeIds, onChange: (operation: OperationView) => void) {
    this.#view = view;
    this.#takeIds = takeIds;
    this.#onChange = onChange;
  }

  /** The region's running operation. */
  of(regionId: number): OperationView | undefined {
    return this.#running.get(regionId);
  }

  /** All running operations. */
  running(): Iterable<OperationView> {
    return this.#running.values();
  }

  get runningCount(): number {
    return this.#running.size;
  }

  /** Finished operations, newest first. */
  finished(): readonly OperationView[] {
    return [...this.#finished].reverse();
  }

  /** How many operations of each kind ended in each state. */
  totals(): readonly { readonly kind: OperationKind; readonly state: OperationState; readonly count: number }[] {
    return [...this.#totals.values()];
  }

  /** Running operations of a kind that PD made itself. */
  countOf(kind: OperationKind): number {
    return this.#countByKind.get(kind) ?? 0;
  }

  /** Whether this kind failed on the region so recently that it should wait. */
  isHeldBack(regionId: number, kind: OperationKind, nowMs: number): boolean {
    const retry = this.#retries.get(`${regionId}/${kind}`);
    return retry !== undefined && nowMs < retry.atMs;
  }

  /** How often in a row this kind failed on the region; 0 once it succeeded. */
  failures(regionId: number, kind: OperationKind): number {
    return this.#retries.get(`${regionId}/${kind}`)?.failures ?? 0;
  }

  /** What the running operations will change on a store. */
  influence(storeId: number): Influence {
    this.#influence ??= this.#countInfluence();
    return this.#influence.get(storeId) ?? NO_INFLUENCE;
  }

  /** Whether a peer that PD does not know of yet may come to be on a store. */
  mayGainPeer(storeId: number, nowMs: number): boolean {
    return this.influence(storeId).incoming > 0 || nowMs < (this.#strayAdds.get(storeId) ?? 0);
  }

  /** Makes an operation of a proposal. A less urgent one of the same region is replaced. */
  add(proposal: Proposal, nowMs: number): AddOutcome {
    const region = this.#view.regions.get(proposal.regionId);
    if (region === undefined) return { kind: "refused", reason: `region ${proposal.regionId} is unknown` };
    const present = this.#running.get(proposal.regionId);
    if (present !== undefined && present.priority >= proposal.priority) {
      return { kind: "refused", reason: `operation ${present.operationId} (${present.kind}) is running on the region` };
    }
    const ids = this.#fillIds(proposal.steps, region);
    if (ids === undefined) return { kind: "refused", reason: "no ids are at hand this moment" };
    if (present !== undefined)
      this.#finish(present, "replaced", `by operation ${ids.operationId} (${proposal.kind})`, nowMs);
    const operation: OperationRecord = {
      ...proposal,
      steps: ids.steps,
      operationId: ids.operationId,
      confVer: region.confVer,
      version: region.version,
      currentStep: 0,
      state: "running",
      createdAtMs: nowMs,
      stepStartedAtMs: nowMs,
      finishedAtMs: 0,
      message: "",
      sentAtMs: 0,
      heldUntilMs: 0,
    };
    this.#begin(operation);
    this.#onChange(operation);
    return { kind: "added", operation };
  }

  /** Takes up an operation that an earlier PD leader persisted. */
  resume(operation: OperationView): void {
    if (!this.#running.has(operation.regionId)) this.#begin({ ...operation, sentAtMs: 0, heldUntilMs: 0 });
  }

  /** Judges the region's operation by the region as it now is; it may end by that. */
  advance(region: RegionView, nowMs: number): void {
    const operation = this.#running.get(region.regionId);
    if (operation === undefined) return;
    const progress = judgeProgress(operation, region);
    switch (progress.kind) {
      case "succeeded":
        operation.currentStep = operation.steps.length;
        this.#finish(operation, "succeeded", "", nowMs);
        return;
      case "overtaken":
        this.#finish(operation, "cancelled", progress.reason, nowMs);
        return;
      case "running":
        this.#influence = undefined;
        if (progress.currentStep === operation.currentStep) return;
        operation.currentStep = progress.currentStep;
        operation.stepStartedAtMs = nowMs;
        operation.message = "";
        operation.heldUntilMs = 0;
    }
  }

  /** The step to send to the region's leader now, if the region has an operation and nothing has to be waited for. */
  command(region: RegionView, nowMs: number): OperationStepInit | undefined {
    const operation = this.#running.get(region.regionId);
    if (operation === undefined || nowMs < operation.heldUntilMs) return undefined;
    const command = nextCommand(operation, region, this.#view, nowMs);
    if (command.kind === "wait") {
      operation.message = command.reason;
      return undefined;
    }
    operation.sentAtMs = nowMs;
    const { operationId, regionId, currentStep } = operation;
    const { confVer, version } = region;
    return stepToProto(command.step, { operationId, stepIndex: currentStep, regionId, confVer, version });
  }

  /** Regions whose step should be sent (again) though their leader has reported nothing new. */
  due(nowMs: number): readonly number[] {
    const due: number[] = [];
    for (const { regionId, sentAtMs, heldUntilMs } of this.#running.values()) {
      const isHeldOver = heldUntilMs > sentAtMs && nowMs >= heldUntilMs;
      if (isHeldOver || nowMs - sentAtMs >= RESEND_MS) due.push(regionId);
    }
    return due;
  }

  /** Holds a step that met an obstacle back for a moment, so that it is not repeated with the very next report. */
  hold(result: StepResult, nowMs: number): void {
    const operation = this.#running.get(result.regionId);
    if (operation?.operationId !== result.operationId || result.error === null || result.error.code === "") return;
    operation.heldUntilMs = nowMs + HOLD_MS;
  }

  /** Notes what a store says of a step, after the region's report that came with it was judged. A refusal that repeating cannot change ends the operation; success shows in the region. */
  onStepResult(result: StepResult, nowMs: number): void {
    const operation = this.#running.get(result.regionId);
    if (operation?.operationId !== result.operationId || result.error === null || result.error.code === "") return;
    const { code, message } = result.error;
    operation.message = `${code}: ${message}`;
    const isFinal = isErrorCode(code) && !ERROR_CODES[code].retryable;
    if (isFinal && result.stepIndex === operation.currentStep)
      this.#finish(operation, "failed", operation.message, nowMs);
  }

  /** Ends an operation. Returns whether it was running. */
  cancel(operationId: number, reason: string, nowMs: number): boolean {
    for (const operation of this.#running.values()) {
      if (operation.operationId !== operationId) continue;
      this.#finish(operation, "cancelled", reason, nowMs);
      return true;
    }
    return false;
  }

  /** Ends operations that took too long, or whose new peer's store is lost. */
  tick(nowMs: number): void {
    for (const operation of [...this.#running.values()]) {
      const step = operation.steps[operation.currentStep];
      if (step === undefined) continue;
      const waitedMs = nowMs - operation.stepStartedAtMs;
      const region = this.#view.regions.get(operation.regionId);
      if (
        !(region !== undefined && region.reportedAtMs >= operation.createdAtMs) &&
        nowMs - operation.createdAtMs > EXPIRE_MS
      ) {
        this.#finish(operation, "expired", `no leader reported for ${EXPIRE_MS / 1000} s`, nowMs);
      } else if (waitedMs > STEP_TIMEOUT_MS[step.kind]) {
        const obstacle = operation.message === "" ? "" : `: ${operation.message}`;
        this.#finish(
          operation,
          "timed-out",
          `${describeStep(step)} took over ${STEP_TIMEOUT_MS[step.kind] / 1000} s${obstacle}`,
          nowMs,
        );
      } else if ((step.kind === "addLearner" || step.kind === "promote") && this.#isLost(step.storeId, nowMs)) {
        this.#finish(operation, "cancelled", `store ${step.storeId} of the new peer is down`, nowMs);
      }
    }
  }

  #isLost(storeId: number, nowMs: number): boolean {
    const store = this.#view.stores.get(storeId);
    return store === undefined || storeHealth(store, nowMs, this.#view.settings) === "down";
  }

  #begin(operation: OperationRecord): void {
    this.#running.set(operation.regionId, operation);
    this.#countKind(operation, 1);
    this.#influence = undefined;
  }

  #finish(operation: OperationRecord, state: OperationState, message: string, nowMs: number): void {
    operation.state = state;
    operation.finishedAtMs = nowMs;
    if (message !== "" || state === "succeeded") operation.message = message;
    this.#running.delete(operation.regionId);
    this.#countKind(operation, -1);
    this.#influence = undefined;
    const total = this.#totals.get(`${operation.kind}/${state}`) ?? { kind: operation.kind, state, count: 0 };
    total.count++;
    this.#totals.set(`${operation.kind}/${state}`, total);
    this.#finished.push(operation);
    if (this.#finished.length > FINISHED_KEPT) this.#finished.shift();
    this.#noteOutcome(operation, nowMs);
    this.#noteStray(operation, nowMs);
    this.#onChange(operation);
  }

  #noteStray({ regionId, steps, currentStep, sentAtMs }: OperationRecord, nowMs: number): void {
    const step = steps[currentStep];
    if (step?.kind !== "addLearner" || sentAtMs === 0) return;
    const isSeen = this.#view.regions.get(regionId)?.peers.some(({ peerId }) => peerId === step.peerId) === true;
    if (!isSeen) this.#strayAdds.set(step.storeId, nowMs + STRAY_MS);
  }

  #noteOutcome({ regionId, kind, state, origin }: OperationView, nowMs: number): void {
    const key = `${regionId}/${kind}`;
    if (state === "succeeded") this.#retries.delete(key);
    const hasFailed = state === "timed-out" || state === "expired" || state === "failed";
    if (!hasFailed || (origin !== "checker" && origin !== "scheduler")) return;
    const failures = (this.#retries.get(key)?.failures ?? 0) + 1;
    this.#retries.delete(key);
    this.#retries.set(key, { failures, atMs: nowMs + Math.min(RETRY_BASE_MS * 2 ** (failures - 1), RETRY_MAX_MS) });
    if (this.#retries.size > 10_000) {
      const oldest = this.#retries.keys().next();
      if (oldest.done !== true) this.#retries.delete(oldest.value);
    }
  }

  #countKind({ kind, origin }: OperationView, change: 1 | -1): void {
    if (origin === "checker" || origin === "scheduler") this.#countByKind.set(kind, this.countOf(kind) + change);
  }

  #fillIds(steps: readonly Step[], region: RegionView): { operationId: number; steps: readonly Step[] } | undefined {
    const newStores = [
      ...new Set(steps.flatMap((s) => (s.kind === "addLearner" && s.peerId === 0 ? [s.storeId] : []))),
    ];
    const childIds = steps.some((step) => step.kind === "split" && step.childRegionId === 0)
      ? 1 + region.peers.length
      : 0;
    const first = this.#takeIds(1 + newStores.length + childIds);
    if (first === undefined) return undefined;
    const peerIdOf = (storeId: number) => first + 1 + newStores.indexOf(storeId);
    const child = first + 1 + newStores.length;
    const filled = steps.map((step): Step => {
      if (step.kind === "split" && step.childRegionId === 0) {
        return { ...step, childRegionId: child, childPeerIds: region.peers.map((_, i) => child + 1 + i) };
      }
      const isNew = (step.kind === "addLearner" || step.kind === "promote") && step.peerId === 0;
      return isNew ? { ...step, peerId: peerIdOf(step.storeId) } : step;
    });
    return { operationId: first, steps: filled };
  }

  #countInfluence(): Map<number, Mutable<Influence>> {
    const all = new Map<number, Mutable<Influence>>();
    const of = (storeId: number) => {
      let influence = all.get(storeId);
      if (influence === undefined) all.set(storeId, (influence = { ...NO_INFLUENCE }));
      return influence;
    };
    for (const operation of this.#running.values()) {
      const region = this.#view.regions.get(operation.regionId);
      if (region === undefined) continue;
      for (const step of operation.steps.slice(operation.currentStep)) addInfluence(step, region, of);
    }
    return all;
  }
}

function addInfluence(step: Step, region: RegionView, of: (storeId: number) => Mutable<Influence>): void {
  const isMember = "peerId" in step && region.peers.some((peer) => peer.peerId === step.peerId);
  if (step.kind === "addLearner") {
    const store = of(step.storeId);
    store.incoming++;
    if (isMember) return;
    store.regions++;
    store.sizeScore += regionScore(region);
  } else if (step.kind === "removePeer" && isMember) {
    const store = of(step.storeId);
    store.regions--;
    store.sizeScore -= regionScore(region);
  } else if (step.kind === "transferLeader" && region.leaderPeerId !== step.peerId) {
    of(step.storeId).leaders++;
    if (region.leaderStoreId !== 0) of(region.leaderStoreId).leaders--;
  }
}
