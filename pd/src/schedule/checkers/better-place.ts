/**
 * Moves a peer to where the region's peers share fewer failure domains (zone, rack, host). Each move makes what they share strictly less and
 * no other checker or scheduler makes it more, so it ends.
 */
import { describeRegion, isEvictingLeaders, isVoter, type RegionPeer, type RegionView } from "../../cluster/index.js";
import { isLivePeer, PRIORITY } from "../../operations/index.js";
import type { Checker, ScheduleContext } from "../context.js";
import { addVoterSteps, removePeerStep } from "../move-steps.js";
import { chooseStore, sharedDomains } from "../placement.js";

export const betterPlaceChecker: Checker = {
  name: "better-place",
  check(region, context) {
    if (context.view.settings.regionBalanceLimit === 0 || !isWell(region, context)) return undefined;
    for (const { peer, shared } of byShared(region, context)) {
      if (shared === 0) return undefined;
      const placement = chooseStore(region, [peer.peerId], context);
      if (placement.kind === "none" || placement.shared >= shared) continue;
      if (isEvictingLeaders(placement.store, context.nowMs)) continue;
      const now = `peer ${peer.peerId} on store ${peer.storeId} shares failure domains worth ${shared}`;
      return {
        regionId: region.regionId,
        kind: "better-place",
        steps: [...addVoterSteps(placement.store.storeId), removePeerStep(peer)],
        origin: "checker",
        priority: PRIORITY.balance,
        reason: `${describeRegion(region)}: ${now}, it would share ${placement.shared} on ${placement.fact}`,
      };
    }
    return undefined;
  },
};

/** Only a region in full health moves: as many voters as wanted, all of them live and on stores that stay. */
function isWell(region: RegionView, { view, nowMs }: ScheduleContext): boolean {
  if (region.peers.length !== view.settings.replicas) return false;
  return region.peers.every(
    (peer) =>
      isVoter(peer) && isLivePeer(region, peer, view, nowMs) && view.stores.get(peer.storeId)?.lifecycle === "up",
  );
}

/** The peers, those that share most first, a leader's after the others. */
function byShared(region: RegionView, context: ScheduleContext): readonly { peer: RegionPeer; shared: number }[] {
  const rated = region.peers.map((peer) => {
    const store = context.view.stores.get(peer.storeId);
    const others = region.peers.filter((other) => other !== peer).map(({ storeId }) => storeId);
    return { peer, shared: store === undefined ? 0 : sharedDomains(store, others, context) };
  });
  const isLeader = ({ peer }: { peer: RegionPeer }): number => (peer.peerId === region.leaderPeerId ? 1 : 0);
  return rated.sort((a, b) => b.shared - a.shared || isLeader(a) - isLeader(b) || a.peer.peerId - b.peer.peerId);
}
