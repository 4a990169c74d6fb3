/** Removes surplus peers: learners that no operation minds, and voters above the wanted number, a lost one first, never the leader's. */
import {
  describeRegion,
  isVoter,
  storeHealth,
  votersOf,
  type RegionPeer,
  type RegionView,
} from "../../cluster/index.js";
import { isLivePeer, PRIORITY, proveRemoval } from "../../operations/index.js";
import type { Checker, ScheduleContext } from "../context.js";
import { removePeerStep } from "../move-steps.js";
import { sharedDomains, storeScore } from "../placement.js";

export const extraPeerChecker: Checker = {
  name: "extra-peer",
  check(region, context) {
    const wanted = context.view.settings.replicas;
    const voters = votersOf(region);
    if (voters.length < wanted) return undefined;
    const learner = region.peers.find((peer) => !isVoter(peer));
    const isChoice = voters.length > wanted && !voters.some((peer) => isUnheard(peer, context));
    const surplus = learner ?? (isChoice ? chooseSurplus(region, voters, context) : undefined);
    if (surplus === undefined) return undefined;
    const proof = proveRemoval(region, surplus.peerId, context.view, context.nowMs);
    if (!proof.holds) return undefined;
    const counted = `${describeRegion(region)} has ${voters.length} voters and ${region.peers.length - voters.length} learners, ${wanted} voters wanted`;
    return {
      regionId: region.regionId,
      kind: "remove-extra-peer",
      steps: [removePeerStep(surplus)],
      origin: "checker",
      priority: PRIORITY.normal,
      reason: `${counted}: peer ${surplus.peerId} on store ${surplus.storeId} goes, ${proof.fact}`,
    };
  },
};

/** Whether the peer's store may come (back) any moment, as after a change of PD's leader: until then nobody knows which peer is the least useful. */
function isUnheard({ storeId }: RegionPeer, { view, nowMs }: ScheduleContext): boolean {
  const store = view.stores.get(storeId);
  return store?.isConnected === false && storeHealth(store, nowMs, view.settings) === "up";
}

function chooseSurplus(
  region: RegionView,
  voters: readonly RegionPeer[],
  context: ScheduleContext,
): RegionPeer | undefined {
  const rank = (peer: RegionPeer) => usefulness(region, peer, voters, context);
  return voters
    .filter((peer) => peer.peerId !== region.leaderPeerId)
    .map((peer) => ({ peer, rank: rank(peer) }))
    .sort((a, b) => a.rank - b.rank || b.peer.peerId - a.peer.peerId)[0]?.peer;
}

/** The least useful goes: lost store, then broken or lagging, then draining, then shared failure domain, then the fullest store. */
function usefulness(
  region: RegionView,
  peer: RegionPeer,
  voters: readonly RegionPeer[],
  context: ScheduleContext,
): number {
  const { view, nowMs } = context;
  const store = view.stores.get(peer.storeId);
  if (store === undefined || storeHealth(store, nowMs, view.settings) === "down") return -1e9;
  if (!isLivePeer(region, peer, view, nowMs)) return -1e8;
  if (store.lifecycle === "draining") return -1e7;
  const others = voters.filter((other) => other !== peer).map((other) => other.storeId);
  return -sharedDomains(store, others, context) * 1e4 - storeScore(peer.storeId, context) / 1024 ** 3;
}
