/** How far an operation is, judged by its region's last report alone. Pure. */
import { describeRegion, peerById, type ClusterView, type RegionView } from "../cluster/index.js";
import type { OperationView } from "./operation.js";
import { hasCaughtUp, changedMembership, isStepDone, type Step } from "./step.js";
import { leaderCandidates, leaderRefusal, provePromotion, proveRemoval } from "./safety.js";

/** Where the region's report puts an operation. */
export type Progress =
  | { readonly kind: "running"; readonly currentStep: number }
  | { readonly kind: "succeeded" }
  | { readonly kind: "overtaken"; readonly reason: string };

/** Counts the steps that the region shows as done, and notices when somebody else changed its membership. */
export function judgeProgress(operation: OperationView, region: RegionView): Progress {
  const { steps, confVer, version } = operation;
  let current = operation.currentStep;
  for (let step = steps[current]; step !== undefined && isStepDone(step, region, version); step = steps[current])
    current++;
  const own = steps.slice(0, current + 1).filter((step) => changedMembership(step, region)).length;
  if (current === steps.length) return { kind: "succeeded" };
  if (region.confVer - confVer > own) {
    const moved = `${describeRegion(region)} was at confVer ${confVer} and this operation made ${own} changes`;
    return { kind: "overtaken", reason: `the membership changed elsewhere: ${moved}` };
  }
  const step = steps[current];
  if (step?.kind === "promote" && peerById(region, step.peerId) === undefined) {
    return { kind: "overtaken", reason: `peer ${step.peerId} is no longer a member of ${describeRegion(region)}` };
  }
  return { kind: "running", currentStep: current };
}

/** What to tell the leader now: a step, or what is waited for. */
export type NextCommand =
  { readonly kind: "send"; readonly step: Step } | { readonly kind: "wait"; readonly reason: string };

/**
 * Picks the command for the present step. Unsafe ones wait: a removal or promotion that is not proven against the live voters, a
 * transfer to a peer that cannot lead. Removing the leader's own peer is turned into a transfer first.
 */
export function nextCommand(
  operation: OperationView,
  region: RegionView,
  view: ClusterView,
  nowMs: number,
): NextCommand {
  const step = operation.steps[operation.currentStep];
  if (step === undefined) return { kind: "wait", reason: "all steps are done" };
  switch (step.kind) {
    case "addLearner":
      return peerById(region, step.peerId) === undefined
        ? { kind: "send", step }
        : { kind: "wait", reason: `peer ${step.peerId} on store ${step.storeId} is catching up` };
    case "promote": {
      if (!hasCaughtUp(region, step.peerId)) return { kind: "wait", reason: `peer ${step.peerId} has not caught up` };
      const proof = provePromotion(region, step.peerId, view, nowMs);
      return proof.holds ? { kind: "send", step } : { kind: "wait", reason: proof.reason };
    }
    case "transferLeader": {
      const peer = peerById(region, step.peerId);
      const refusal =
        peer === undefined ? `peer ${step.peerId} is no member` : leaderRefusal(region, peer, view, nowMs);
      return refusal === undefined ? { kind: "send", step } : { kind: "wait", reason: refusal };
    }
    case "removePeer": {
      const proof = proveRemoval(region, step.peerId, view, nowMs);
      if (!proof.holds) return { kind: "wait", reason: proof.reason };
      if (region.leaderPeerId !== step.peerId) return { kind: "send", step };
      const heir = leaderCandidates(region, view, nowMs)[0];
      if (heir === undefined)
        return { kind: "wait", reason: `peer ${step.peerId} leads and no other voter can take over` };
      return { kind: "send", step: { kind: "transferLeader", storeId: heir.storeId, peerId: heir.peerId } };
    }
    case "split":
    case "leaveJoint":
      return { kind: "send", step };
  }
}
