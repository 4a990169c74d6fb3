/** Proofs that a change leaves a live quorum, and the choice of who may lead. Pure; asked when an operation is made and again before each step is sent. */
import {
  isEvictingLeaders,
  isLiveStore,
  peerById,
  votersOf,
  type ClusterView,
  type RegionPeer,
  type RegionView,
} from "../cluster/index.js";

/** A counted fact, or why not. */
export type Proof =
  { readonly holds: true; readonly fact: string } | { readonly holds: false; readonly reason: string };

/** Whether a peer can be counted on: its store answers, its leader hears of it, it has its data and no fault. */
export function isLivePeer(region: RegionView, peer: RegionPeer, view: ClusterView, nowMs: number): boolean {
  const store = view.stores.get(peer.storeId);
  return (
    isLiveStore(store, nowMs, view.settings) &&
    !region.downPeerIds.includes(peer.peerId) &&
    !region.pendingPeerIds.includes(peer.peerId) &&
    store?.faults.get(region.regionId)?.peerId !== peer.peerId
  );
}

/** Proves that the voters other than `peerId` keep a live majority of themselves. Removing a learner always holds. */
export function proveRemoval(region: RegionView, peerId: number, view: ClusterView, nowMs: number): Proof {
  const voters = votersOf(region);
  const rest = voters.filter((peer) => peer.peerId !== peerId);
  if (rest.length === voters.length) return { holds: true, fact: `peer ${peerId} does not vote` };
  return proveQuorum(region, rest, `without peer ${peerId}`, view, nowMs);
}

/** Proves that the voters as they are have a live majority: without one nothing can be committed. */
export function proveLiveMajority(region: RegionView, view: ClusterView, nowMs: number): Proof {
  return proveQuorum(region, votersOf(region), "as it is", view, nowMs);
}

/** Proves that the voters and the learner `peerId` together have a live majority. */
export function provePromotion(region: RegionView, peerId: number, view: ClusterView, nowMs: number): Proof {
  const learner = peerById(region, peerId);
  if (learner === undefined) return { holds: false, reason: `peer ${peerId} is no member` };
  const voters = votersOf(region).filter((peer) => peer.peerId !== peerId);
  return proveQuorum(region, [...voters, learner], `with peer ${peerId}`, view, nowMs);
}

function proveQuorum(
  region: RegionView,
  voters: readonly RegionPeer[],
  change: string,
  view: ClusterView,
  nowMs: number,
): Proof {
  const live = voters.filter((peer) => isLivePeer(region, peer, view, nowMs)).length;
  const needed = Math.floor(voters.length / 2) + 1;
  const counted = `${change} ${live} of ${voters.length} voters are live, ${needed} needed`;
  return voters.length > 0 && live >= needed ? { holds: true, fact: counted } : { holds: false, reason: counted };
}

/** Why `peer` cannot take the region's leadership, or undefined if it can. */
export function leaderRefusal(
  region: RegionView,
  peer: RegionPeer,
  view: ClusterView,
  nowMs: number,
): string | undefined {
  if (!votersOf(region).includes(peer)) return `peer ${peer.peerId} is a learner`;
  const store = view.stores.get(peer.storeId);
  if (store === undefined || !isLivePeer(region, peer, view, nowMs)) return `peer ${peer.peerId} is down or pending`;
  if (store.stats?.isBusy === true) return `store ${store.storeId} is busy`;
  return isEvictingLeaders(store, nowMs) ? `leaders leave store ${store.storeId}` : undefined;
}

/** The voters that may take the leadership now, without the present leader; those with the fewest leaders first. */
export function leaderCandidates(region: RegionView, view: ClusterView, nowMs: number): readonly RegionPeer[] {
  const leaders = (peer: RegionPeer) => view.regions.usage(peer.storeId).leaderRegionIds.size;
  return votersOf(region)
    .filter((peer) => peer.peerId !== region.leaderPeerId && leaderRefusal(region, peer, view, nowMs) === undefined)
    .sort((a, b) => leaders(a) - leaders(b) || a.storeId - b.storeId);
}
