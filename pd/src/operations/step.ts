/** Steps of an operation: what each wants, when it is done, what it costs in time. Pure. */
import { fromLatin1, toLatin1 } from "@rhea/common";
import { StepKind, type OperationStep, type OperationStepInit } from "@rhea/proto";
import { isJoint, isVoter, peerById, type RegionDescriptor, type RegionView } from "../cluster/index.js";

/** One step. A peer id of 0 in a proposal stands for "the new peer on this store": it is filled in when the operation is made. */
export type Step =
  /** Done when the peer is a member and has caught up with the leader. */
  | { readonly kind: "addLearner"; readonly storeId: number; readonly peerId: number }
  | { readonly kind: "promote"; readonly storeId: number; readonly peerId: number }
  | { readonly kind: "transferLeader"; readonly storeId: number; readonly peerId: number }
  | { readonly kind: "removePeer"; readonly storeId: number; readonly peerId: number }
  /** An empty key lets the store choose one near the middle. Child ids of 0 and [] are filled in when the operation is made. */
  | {
      readonly kind: "split";
      readonly splitKey: string;
      readonly childRegionId: number;
      readonly childPeerIds: readonly number[];
    }
  | { readonly kind: "leaveJoint" };

/** How long a step may take before the operation times out, ms. addLearner sends a whole region. */
export const STEP_TIMEOUT_MS: Record<Step["kind"], number> = {
  addLearner: 600_000,
  promote: 60_000,
  transferLeader: 15_000,
  removePeer: 60_000,
  split: 60_000,
  leaveJoint: 60_000,
};

/** Whether the region shows that the step is done. `version`: the region's version when the operation was made. */
export function isStepDone(step: Step, region: RegionView, version: number): boolean {
  switch (step.kind) {
    case "addLearner": {
      const peer = peerById(region, step.peerId);
      if (peer === undefined) return false;
      return isVoter(peer) || hasCaughtUp(region, step.peerId);
    }
    case "promote": {
      const peer = peerById(region, step.peerId);
      return peer !== undefined && isVoter(peer) && !isJoint(region);
    }
    case "transferLeader":
      return region.leaderPeerId === step.peerId;
    case "removePeer":
      return peerById(region, step.peerId) === undefined;
    case "split":
      return region.version > version;
    case "leaveJoint":
      return !isJoint(region);
  }
}

/** Whether the step's change of membership shows, done or not: each is worth 1 of confVer. */
export function changedMembership(step: Step, region: RegionDescriptor): boolean {
  switch (step.kind) {
    case "addLearner":
      return peerById(region, step.peerId) !== undefined;
    case "promote": {
      const peer = peerById(region, step.peerId);
      return peer !== undefined && isVoter(peer);
    }
    case "removePeer":
      return peerById(region, step.peerId) === undefined;
    case "leaveJoint":
      return !isJoint(region);
    case "transferLeader":
    case "split":
      return false;
  }
}

/** Whether the leader says that the peer is close behind it. */
export function hasCaughtUp(region: RegionView, peerId: number): boolean {
  return region.caughtUpPeerIds.includes(peerId) && !region.pendingPeerIds.includes(peerId);
}

const KINDS: Record<Step["kind"], StepKind> = {
  addLearner: StepKind.ADD_LEARNER,
  promote: StepKind.PROMOTE,
  transferLeader: StepKind.TRANSFER_LEADER,
  removePeer: StepKind.REMOVE_PEER,
  split: StepKind.SPLIT,
  leaveJoint: StepKind.LEAVE_JOINT,
};

/** Writes a step for the wire, with the epoch that the store must find. */
export function stepToProto(
  step: Step,
  at: { operationId: number; stepIndex: number; regionId: number; confVer: number; version: number },
): OperationStepInit {
  const head = {
    operationId: at.operationId,
    stepIndex: at.stepIndex,
    regionId: at.regionId,
    epoch: { confVer: at.confVer, version: at.version },
    kind: KINDS[step.kind],
  };
  switch (step.kind) {
    case "split":
      return {
        ...head,
        splitKey: fromLatin1(step.splitKey),
        childRegionId: step.childRegionId,
        childPeerIds: step.childPeerIds,
      };
    case "leaveJoint":
      return head;
    case "addLearner":
      return { ...head, peer: { peerId: step.peerId, storeId: step.storeId, role: 1 } };
    case "promote":
    case "transferLeader":
    case "removePeer":
      return { ...head, peer: { peerId: step.peerId, storeId: step.storeId, role: 0 } };
  }
}

/** Reads a persisted step; undefined for a kind that this version does not know. */
export function stepFromProto(step: OperationStep): Step | undefined {
  const storeId = step.peer?.storeId ?? 0;
  const peerId = step.peer?.peerId ?? 0;
  switch (step.kind) {
    case StepKind.ADD_LEARNER:
      return { kind: "addLearner", storeId, peerId };
    case StepKind.PROMOTE:
      return { kind: "promote", storeId, peerId };
    case StepKind.TRANSFER_LEADER:
      return { kind: "transferLeader", storeId, peerId };
    case StepKind.REMOVE_PEER:
      return { kind: "removePeer", storeId, peerId };
    case StepKind.SPLIT:
      return {
        kind: "split",
        splitKey: toLatin1(step.splitKey),
        childRegionId: step.childRegionId,
        childPeerIds: step.childPeerIds,
      };
    case StepKind.LEAVE_JOINT:
      return { kind: "leaveJoint" };
    default:
      return undefined;
  }
}

/** Says what the step does: `removePeer 14 on store 3`. */
export function describeStep(step: Step): string {
  switch (step.kind) {
    case "split":
      return "split";
    case "leaveJoint":
      return "leaveJoint";
    default:
      return `${step.kind} ${step.peerId} on store ${step.storeId}`;
  }
}
