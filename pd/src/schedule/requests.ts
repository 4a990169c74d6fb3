/** Turns a request through the API (CliService through PD) into a proposal, finds it done already, or refuses it with the arithmetic. Pure. */
import { RheaError } from "@rhea/common";
import {
  describeRegion,
  isVoter,
  peerById,
  peerOnStore,
  votersOf,
  type RegionPeer,
  type RegionView,
} from "../cluster/index.js";
import {
  leaderRefusal,
  PRIORITY,
  proveLiveMajority,
  proveRemoval,
  type OperationKind,
  type Proposal,
  type Step,
} from "../operations/index.js";
import type { ScheduleContext } from "./context.js";
import { addVoterSteps, planReplacement, removePeerStep, usableLearner } from "./move-steps.js";
import { chooseStore, placementRefusal } from "./placement.js";

/** A request; 0 and "" mean absent. */
export interface OperationRequest {
  readonly kind: OperationKind;
  readonly regionId: number;
  readonly storeId: number;
  readonly fromStoreId: number;
  readonly peerId: number;
  readonly splitKey: string;
  readonly origin: "operator" | "user";
  readonly reason: string;
}

/** What becomes of a request. */
export type RequestOutcome =
  { readonly kind: "propose"; readonly proposal: Proposal } | { readonly kind: "done"; readonly fact: string };

/** Judges a request against the region as it is. Throws OPERATION_REFUSED, NOT_FOUND, INVALID_ARGUMENT or KEY_NOT_IN_REGION. */
export function planRequest(request: OperationRequest, context: ScheduleContext): RequestOutcome {
  const region = context.view.regions.get(request.regionId);
  if (region === undefined) throw new RheaError("NOT_FOUND", `region ${request.regionId} is unknown to PD`);
  switch (request.kind) {
    case "add-peer":
      return planAdd(request, region, context);
    case "remove-peer":
      return planRemove(request, region, context);
    case "replace-peer":
      return planReplace(request, region, context);
    case "transfer-leader":
      return planTransfer(request, region, context);
    case "split":
      return planSplit(request, region, context);
    default:
      throw new RheaError(
        "INVALID_ARGUMENT",
        `operation kind ${request.kind} cannot be asked for: add-peer, remove-peer, replace-peer, transfer-leader or split`,
      );
  }
}

function propose(request: OperationRequest, steps: readonly Step[], fact: string): RequestOutcome {
  const { regionId, kind, origin } = request;
  const reason = request.reason === "" ? fact : `${request.reason}: ${fact}`;
  return { kind: "propose", proposal: { regionId, kind, steps, origin, priority: PRIORITY.requested, reason } };
}

function refuse(region: RegionView, why: string): never {
  throw new RheaError("OPERATION_REFUSED", `${describeRegion(region)}: ${why}`, {
    details: { regionId: region.regionId },
  });
}

function planAdd(request: OperationRequest, region: RegionView, context: ScheduleContext): RequestOutcome {
  if (request.storeId === 0) {
    const learner = usableLearner(region, context);
    if (learner !== undefined)
      return propose(
        request,
        addVoterSteps(learner.storeId, learner.peerId),
        `learner ${learner.peerId} becomes a voter`,
      );
    const placement = chooseStore(region, [], context);
    if (placement.kind === "none") refuse(region, placement.reason);
    return propose(request, addVoterSteps(placement.store.storeId), `adds a peer on ${placement.fact}`);
  }
  return proposeOn(request, region, [], `adds a peer on store ${request.storeId}`, context);
}

/** Adds a voter on the store that was named, then goes on with `after`. Done if it is a voter and nothing follows. */
function proposeOn(
  request: OperationRequest,
  region: RegionView,
  after: readonly Step[],
  fact: string,
  context: ScheduleContext,
): RequestOutcome {
  const present = peerOnStore(region, request.storeId);
  if (present !== undefined && isVoter(present)) {
    if (after.length === 0)
      return { kind: "done", fact: `store ${request.storeId} has voter ${present.peerId} of the region` };
    return propose(request, after, fact);
  }
  if (present !== undefined)
    return propose(request, [...addVoterSteps(present.storeId, present.peerId), ...after], fact);
  const store = context.view.stores.get(request.storeId);
  if (store === undefined) throw new RheaError("NOT_FOUND", `store ${request.storeId} is unknown to PD`);
  const refusal = placementRefusal(store, context);
  if (refusal !== undefined) refuse(region, `store ${request.storeId} can take no peer: ${refusal}`);
  return propose(request, [...addVoterSteps(request.storeId), ...after], fact);
}

function planRemove(request: OperationRequest, region: RegionView, context: ScheduleContext): RequestOutcome {
  const peer = request.peerId !== 0 ? peerById(region, request.peerId) : peerOnStore(region, request.storeId);
  if (peer === undefined) return { kind: "done", fact: "the region has no such peer" };
  if (isVoter(peer) && votersOf(region).length === 1) refuse(region, `peer ${peer.peerId} is its only voter`);
  const proof = proveRemoval(region, peer.peerId, context.view, context.nowMs);
  if (!proof.holds) refuse(region, proof.reason);
  return propose(
    request,
    [removePeerStep(peer)],
    `removes peer ${peer.peerId} from store ${peer.storeId}, ${proof.fact}`,
  );
}

function planReplace(request: OperationRequest, region: RegionView, context: ScheduleContext): RequestOutcome {
  const { fromStoreId, storeId } = request;
  if (fromStoreId === 0)
    throw new RheaError("INVALID_ARGUMENT", "replace-peer needs fromStoreId: the store whose peer goes");
  if (storeId === fromStoreId)
    throw new RheaError("INVALID_ARGUMENT", `replace-peer: store ${storeId} is both source and target`);
  const leaving = peerOnStore(region, fromStoreId);
  if (leaving === undefined) return { kind: "done", fact: `store ${fromStoreId} has no peer of the region` };
  requireLiveMajority(region, context);
  const fact = `replaces peer ${leaving.peerId} of store ${fromStoreId}`;
  const hasSurplus =
    votersOf(region).length > context.view.settings.replicas ||
    (!isVoter(leaving) && votersOf(region).length >= context.view.settings.replicas);
  const present = storeId === 0 ? undefined : peerOnStore(region, storeId);
  if (!hasSurplus && present !== undefined && isVoter(present)) {
    refuse(region, `store ${storeId} has voter ${present.peerId} of it already, the others would be one less`);
  }
  if (storeId !== 0 && !hasSurplus)
    return proposeOn(request, region, [removePeerStep(leaving)], `${fact} by one on store ${storeId}`, context);
  const plan =
    isVoter(leaving) || hasSurplus
      ? planReplacement(region, leaving, context)
      : planLearnerReplacement(region, leaving, context);
  if (plan.kind === "none") refuse(region, plan.reason);
  return propose(request, plan.steps, `${fact}: ${plan.fact}`);
}

/** A learner that goes while voters are missing: a voter elsewhere takes its place. */
function planLearnerReplacement(
  region: RegionView,
  leaving: RegionPeer,
  context: ScheduleContext,
): ReturnType<typeof planReplacement> {
  const placement = chooseStore(region, [leaving.peerId], context);
  if (placement.kind === "none") return placement;
  const steps = [...addVoterSteps(placement.store.storeId), removePeerStep(leaving)];
  return { kind: "steps", steps, fact: `its place goes to ${placement.fact}` };
}

/** Without a live majority nothing can be committed: the request could only hang. */
function requireLiveMajority(region: RegionView, context: ScheduleContext): void {
  const proof = proveLiveMajority(region, context.view, context.nowMs);
  if (!proof.holds) refuse(region, proof.reason);
}

function planTransfer(request: OperationRequest, region: RegionView, context: ScheduleContext): RequestOutcome {
  const peer = request.peerId !== 0 ? peerById(region, request.peerId) : peerOnStore(region, request.storeId);
  if (peer === undefined) refuse(region, `store ${request.storeId} has no peer of it`);
  if (peer.peerId === region.leaderPeerId) return { kind: "done", fact: `peer ${peer.peerId} leads the region` };
  const refusal = leaderRefusal(region, peer, context.view, context.nowMs);
  if (refusal !== undefined) refuse(region, `cannot lead: ${refusal}`);
  const step: Step = { kind: "transferLeader", storeId: peer.storeId, peerId: peer.peerId };
  return propose(request, [step], `leadership goes to peer ${peer.peerId} on store ${peer.storeId}`);
}

function planSplit(request: OperationRequest, region: RegionView, context: ScheduleContext): RequestOutcome {
  const { splitKey } = request;
  if (splitKey !== "") {
    if (context.view.regions.find(splitKey)?.startKey === splitKey)
      return { kind: "done", fact: "a region starts at this key" };
    if (splitKey <= region.startKey || (region.endKey !== "" && splitKey >= region.endKey)) {
      throw new RheaError("KEY_NOT_IN_REGION", `${describeRegion(region)} does not hold the split key`, {
        details: { regionId: region.regionId },
      });
    }
  }
  const step: Step = { kind: "split", splitKey, childRegionId: 0, childPeerIds: [] };
  return propose(request, [step], splitKey === "" ? "splits near the middle" : "splits at the given key");
}

/** Whether a running operation is what the request asks for. */
export function isSameRequest(request: OperationRequest, running: Proposal): boolean {
  if (running.kind !== request.kind) return false;
  const touches = (kind: Step["kind"], storeId: number) =>
    running.steps.some((step) => step.kind === kind && "storeId" in step && step.storeId === storeId);
  switch (request.kind) {
    case "add-peer":
      return request.storeId === 0 || touches("addLearner", request.storeId);
    case "remove-peer":
      return running.steps.some(
        (s) =>
          s.kind === "removePeer" &&
          (request.peerId === 0 ? s.storeId === request.storeId : s.peerId === request.peerId),
      );
    case "replace-peer":
      return (
        touches("removePeer", request.fromStoreId) && (request.storeId === 0 || touches("addLearner", request.storeId))
      );
    case "transfer-leader":
      return running.steps.some(
        (s) =>
          s.kind === "transferLeader" &&
          (request.peerId === 0 ? s.storeId === request.storeId : s.peerId === request.peerId),
      );
    case "split":
      return running.steps.some((s) => s.kind === "split" && s.splitKey === request.splitKey);
    default:
      return false;
  }
}
