/** The steps by which peers come and go: a new one is a learner first, and only a caught-up voter replaces another. */
import { isLiveStore, isVoter, type RegionPeer, type RegionView } from "../cluster/index.js";
import { isLivePeer, type Step } from "../operations/index.js";
import type { ScheduleContext } from "./context.js";
import { chooseStore } from "./placement.js";

/** Adds a voter on a store; `peerId` 0 makes a new peer, else the learner that is there goes on. */
export function addVoterSteps(storeId: number, peerId = 0): readonly Step[] {
  return [
    { kind: "addLearner", storeId, peerId },
    { kind: "promote", storeId, peerId },
  ];
}

/** Removes a peer. */
export function removePeerStep(peer: RegionPeer): Step {
  return { kind: "removePeer", storeId: peer.storeId, peerId: peer.peerId };
}

/** A learner that no operation minds and that can become a voter where it stands. */
export function usableLearner(region: RegionView, context: ScheduleContext): RegionPeer | undefined {
  return region.peers.find((peer) => {
    if (isVoter(peer)) return false;
    const store = context.view.stores.get(peer.storeId);
    if (store?.lifecycle !== "up" || store.diskLost) return false;
    return (
      isLiveStore(store, context.nowMs, context.view.settings) &&
      store.faults.get(region.regionId)?.peerId !== peer.peerId
    );
  });
}

/** Steps and the fact behind them, or why it cannot be done now. */
export type MovePlan =
  | { readonly kind: "steps"; readonly steps: readonly Step[]; readonly fact: string }
  | { readonly kind: "none"; readonly reason: string };

/**
 * Plans to get a peer out of its region without going below the wanted voters: a surplus voter or a learner is just removed,
 * otherwise a learner that is there or a new peer takes its place first.
 */
export function planReplacement(region: RegionView, leaving: RegionPeer, context: ScheduleContext): MovePlan {
  const wanted = context.view.settings.replicas;
  const voters = region.peers.filter(isVoter);
  if (!isVoter(leaving)) {
    return { kind: "steps", steps: [removePeerStep(leaving)], fact: `peer ${leaving.peerId} is a learner` };
  }
  const healthy = voters.filter(
    (peer) => peer.peerId !== leaving.peerId && isLivePeer(region, peer, context.view, context.nowMs),
  ).length;
  if (healthy >= wanted) {
    return {
      kind: "steps",
      steps: [removePeerStep(leaving)],
      fact: `${healthy} other voters are live, ${wanted} wanted`,
    };
  }
  const learner = usableLearner(region, context);
  if (learner !== undefined) {
    const steps = [...addVoterSteps(learner.storeId, learner.peerId), removePeerStep(leaving)];
    return { kind: "steps", steps, fact: `learner ${learner.peerId} on store ${learner.storeId} takes its place` };
  }
  const placement = chooseStore(region, [leaving.peerId], context);
  if (placement.kind === "none") return placement;
  const steps = [...addVoterSteps(placement.store.storeId), removePeerStep(leaving)];
  return { kind: "steps", steps, fact: `its place goes to ${placement.fact}` };
}
