/** How a region is doing, for those who must not make it worse. Pure. */
import type { RegionHealthInit } from "@rhea/proto";
import { isVoter, storeHealth, votersOf, type ClusterView, type RegionView } from "../cluster/index.js";

/** A store without a stream still counts as there for this long after its last word, ms: it may just be reconnecting. */
const RECONNECT_MS = 3000;
/** What `reported_ms_ago` says when no leader has reported to this PD leader. */
const NEVER_MS = 2 ** 32;

/** Counts peers that are down, pending or missing. */
export function regionHealth(region: RegionView, view: ClusterView, nowMs: number): RegionHealthInit {
  const downPeerIds = region.peers
    .filter(
      (peer) =>
        isDown(peer.storeId, view, nowMs) || region.downPeerIds.includes(peer.peerId) || hasFault(region, peer, view),
    )
    .map((peer) => peer.peerId);
  const voters = votersOf(region);
  const live = voters.filter((peer) => !downPeerIds.includes(peer.peerId)).length;
  const { reportedAtMs, pendingPeerIds, approximateSize, approximateKeys } = region;
  const isComplete = voters.length === view.settings.replicas && region.peers.every(isVoter);
  return {
    regionId: region.regionId,
    downPeerIds,
    pendingPeerIds,
    approximateSize,
    approximateKeys,
    reportedMsAgo: reportedAtMs < 0 ? NEVER_MS : Math.max(0, Math.round(nowMs - reportedAtMs)),
    hasQuorum: live > voters.length / 2,
    fullyReplicated: isComplete && reportedAtMs >= 0 && downPeerIds.length === 0 && pendingPeerIds.length === 0,
  };
}

function isDown(storeId: number, view: ClusterView, nowMs: number): boolean {
  const store = view.stores.get(storeId);
  if (store === undefined || storeHealth(store, nowMs, view.settings) !== "up") return true;
  return !store.isConnected && nowMs - store.lastHeartbeatMs > RECONNECT_MS;
}

function hasFault(region: RegionView, peer: { peerId: number; storeId: number }, view: ClusterView): boolean {
  return view.stores.get(peer.storeId)?.faults.get(region.regionId)?.peerId === peer.peerId;
}
