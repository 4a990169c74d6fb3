/** What regions do by themselves in a second (elections), and what PD has them do: make-up, drains, balance, operations step by step. */
import { hasMajority, type SimOperation, type SimRegion, type SimStep, type SimStore } from "./model.js";
import type { Placement } from "./placement.js";

/** An operation that has not moved for so long is given up. */
const OPERATION_TIMEOUT_MS = 60_000;
const FINISHED_KEPT = 60;

/** Lets a second pass for all regions. */
export function schedule(placement: Placement): void {
  for (const region of placement.regions.values()) elect(placement, region);
  if (!placement.pd.isServing) return;
  for (const region of placement.regions.values()) if (region.leaderStoreId !== 0) region.reportedMs = placement.nowMs;
  for (const operation of placement.operations) if (operation.state === "running") advance(placement, operation);
  propose(placement);
  bury(placement);
  if (placement.operations.length > 2 * FINISHED_KEPT) {
    const done = placement.operations.filter(({ state }) => state !== "running").length;
    let surplus = done - FINISHED_KEPT;
    const kept = placement.operations.filter(({ state }) => state === "running" || surplus-- <= 0);
    placement.operations.splice(0, placement.operations.length, ...kept);
  }
}

function elect(placement: Placement, region: SimRegion): void {
  const { nowMs, isAlive, stores } = placement;
  const isLed = isAlive(region.leaderStoreId) && hasMajority(region, isAlive);
  if (!isLed) {
    if (region.leaderStoreId !== 0) region.leaderLostMs = nowMs;
    region.leaderStoreId = 0;
    if (!hasMajority(region, isAlive) || nowMs - region.leaderLostMs < 1_500) return;
  }
  const mayLead = ({ storeId, isVoter }: SimRegion["peers"][number]): boolean => isVoter && isAlive(storeId);
  const isAvoided = (storeId: number): boolean => {
    const store = stores.get(storeId);
    return store === undefined || store.lifecycle === "draining" || store.evictUntilMs > nowMs;
  };
  if (isLed && !(placement.pd.isServing && isAvoided(region.leaderStoreId))) return;
  const voters = region.peers.filter(mayLead);
  const wanted = voters.filter(({ storeId }) => !isAvoided(storeId));
  if (isLed && wanted.length === 0) return;
  const chosen = placement.setting.random.pick(wanted.length > 0 ? wanted : voters);
  region.leaderStoreId = chosen?.storeId ?? 0;
}

function finish(operation: SimOperation, state: SimOperation["state"], nowMs: number): void {
  operation.state = state;
  operation.finishedMs = nowMs;
}

function advance(placement: Placement, operation: SimOperation): void {
  const { nowMs, isAlive, setting } = placement;
  const region = placement.regions.get(operation.regionId);
  const step = operation.steps[operation.step];
  if (region === undefined || step === undefined) {
    finish(operation, "succeeded", nowMs);
    return;
  }
  if (nowMs - operation.dueMs > OPERATION_TIMEOUT_MS) {
    finish(operation, "failed", nowMs);
    return;
  }
  if (nowMs < operation.dueMs || !hasMajority(region, isAlive)) return;
  if (step.kind !== "remove" && !isAlive(step.storeId)) return; // the new peer cannot catch up
  if (!doStep(placement, region, step)) {
    finish(operation, "failed", nowMs);
    return;
  }
  operation.step++;
  operation.dueMs = nowMs + setting.random.between(200, 4_000);
  if (operation.step === operation.steps.length) finish(operation, "succeeded", nowMs);
}

function doStep(placement: Placement, region: SimRegion, { kind, storeId }: SimStep): boolean {
  const peer = region.peers.find((each) => each.storeId === storeId);
  region.confVer++;
  switch (kind) {
    case "add":
      if (placement.stores.get(storeId)?.lifecycle === "tombstone") return false;
      if (peer === undefined) region.peers.push({ peerId: placement.newId(), storeId, isVoter: false });
      return true;
    case "promote":
      if (peer !== undefined) peer.isVoter = true;
      return peer !== undefined;
    case "remove": {
      const rest = region.peers.filter((each) => each !== peer);
      const isAlive = placement.isAlive;
      if (rest.filter(({ isVoter }) => isVoter).length === 0 || !hasMajority({ ...region, peers: rest }, isAlive))
        return false;
      region.peers = rest;
      if (region.leaderStoreId === storeId) region.leaderStoreId = 0;
      return true;
    }
  }
}

/** Adds an operation. Returns undefined while the region has one. */
export function addOperation(
  placement: Placement,
  region: SimRegion,
  given: Pick<SimOperation, "kind" | "origin" | "reason" | "steps">,
): SimOperation | undefined {
  const { nowMs, operations, setting } = placement;
  if (operations.some(({ regionId, state }) => regionId === region.regionId && state === "running")) return undefined;
  const operation: SimOperation = {
    ...given,
    ...{ operationId: placement.newId(), regionId: region.regionId, startedMs: nowMs, step: 0 },
    ...{ dueMs: nowMs + setting.random.between(200, 3_000), state: "running", finishedMs: 0 },
  };
  operations.push(operation);
  return operation;
}

/** The store with the fewest peers that can take one of the region. */
export function targetFor(placement: Placement, region: SimRegion): SimStore | undefined {
  const taken = new Set(region.peers.map(({ storeId }) => storeId));
  return [...placement.stores.values()]
    .filter((store) => store.lifecycle === "up" && placement.seemsLive(store) && !taken.has(store.storeId))
    .toSorted((a, b) => placement.peersOn(a.storeId) - placement.peersOn(b.storeId))[0];
}

function propose(placement: Placement): void {
  const { config, stores, setting, regions } = placement;
  const first = [...regions.values()][0];
  const voters = first?.peers.filter(({ isVoter }) => isVoter) ?? [];
  if (
    first !== undefined &&
    regions.size < setting.regionTarget &&
    voters.length >= config.replicas &&
    first.leaderStoreId !== 0
  ) {
    placement.addRegion(voters.map(({ storeId }) => storeId)); // a split: the same stores
  }
  const lifecycleOf = (storeId: number): string => stores.get(storeId)?.lifecycle ?? "tombstone";
  const running = placement.operations.filter(({ state }) => state === "running");
  const isLimited = (kind: string): boolean =>
    running.filter((each) => each.kind === kind).length >= config.operationLimit;
  for (const region of regions.values()) {
    if (running.some(({ regionId }) => regionId === region.regionId)) continue;
    const all = region.peers;
    const of = all.filter(({ isVoter }) => isVoter);
    const add = (kind: string, steps: readonly SimStep[]): void => {
      if (isLimited(kind)) return;
      const operation = addOperation(placement, region, { kind, origin: "checker", reason: "", steps });
      if (operation !== undefined) running.push(operation);
    };
    const learner = all.find(({ isVoter }) => !isVoter);
    if (of.length > config.replicas) {
      const rank = (storeId: number): number =>
        lifecycleOf(storeId) !== "up" ? 0 : placement.seemsLive(stores.get(storeId)) ? 2 : 1;
      const worst = of.toSorted(
        (a, b) => rank(a.storeId) - rank(b.storeId) || placement.peersOn(b.storeId) - placement.peersOn(a.storeId),
      )[0];
      if (worst !== undefined) add("remove-surplus", [{ kind: "remove", storeId: worst.storeId }]);
    } else if (learner !== undefined) {
      const isWanted =
        of.length < config.replicas && lifecycleOf(learner.storeId) === "up" && placement.isAlive(learner.storeId);
      add(isWanted ? "make-up" : "remove-learner", [
        { kind: isWanted ? "promote" : "remove", storeId: learner.storeId },
      ]);
    } else if (of.length < config.replicas) {
      const target = targetFor(placement, region);
      if (target !== undefined) add("make-up", moveSteps(target.storeId));
    } else {
      const leaving = of.find(({ storeId }) => lifecycleOf(storeId) === "draining");
      const target = leaving === undefined ? undefined : targetFor(placement, region);
      if (leaving !== undefined && target !== undefined)
        add("drain-region", moveSteps(target.storeId, leaving.storeId));
      else if (running.length === 0) balance(placement, region, add);
    }
  }
}

/** Steps that add a voter, and then take one away. */
export function moveSteps(to: number, from?: number): SimStep[] {
  const steps: SimStep[] = [
    { kind: "add", storeId: to },
    { kind: "promote", storeId: to },
  ];
  return from === undefined ? steps : [...steps, { kind: "remove", storeId: from }];
}

function balance(
  placement: Placement,
  region: SimRegion,
  add: (kind: string, steps: readonly SimStep[]) => void,
): void {
  const target = targetFor(placement, region);
  if (target === undefined) return;
  const most = region.peers
    .filter(({ storeId }) => placement.seemsLive(placement.stores.get(storeId)))
    .toSorted((a, b) => placement.peersOn(b.storeId) - placement.peersOn(a.storeId))[0];
  if (most === undefined || placement.peersOn(most.storeId) - placement.peersOn(target.storeId) < 2) return;
  add("balance-region", moveSteps(target.storeId, most.storeId));
}

/** Stores that have drained become tombstones. */
function bury(placement: Placement): void {
  for (const store of placement.stores.values()) {
    if (store.lifecycle !== "draining" || placement.peersOn(store.storeId) > 0) continue;
    const mayGain = placement.operations.some(
      ({ state, steps }) =>
        state === "running" && steps.some((step) => step.kind === "add" && step.storeId === store.storeId),
    );
    if (!mayGain) store.lifecycle = "tombstone";
  }
}
