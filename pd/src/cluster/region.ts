/** One region as PD knows it. Keys are Latin-1 strings (one char per byte). */
import { fromLatin1, toLatin1 } from "@rhea/common";
import { PeerRole, type Region, type RegionInit } from "@rhea/proto";

/** A peer of a region. */
export interface RegionPeer {
  readonly peerId: number;
  readonly storeId: number;
  readonly role: PeerRole;
}

/** What is persisted of a region: range, epoch, peers. An empty `endKey` is the end of the keyspace. */
export interface RegionDescriptor {
  readonly regionId: number;
  readonly startKey: string;
  readonly endKey: string;
  readonly confVer: number;
  readonly version: number;
  readonly peers: readonly RegionPeer[];
}

/** A region with what its leader last reported. The map owns it; all others only read. */
export interface RegionView extends RegionDescriptor {
  /** 0: no leader has reported to this PD leader yet. */
  readonly leaderPeerId: number;
  readonly leaderStoreId: number;
  readonly term: number;
  /** Peers that the leader has not heard of for a while. */
  readonly downPeerIds: readonly number[];
  /** Peers that lack a snapshot or lag far behind. */
  readonly pendingPeerIds: readonly number[];
  /** Peers within a small lag of the leader. */
  readonly caughtUpPeerIds: readonly number[];
  /** Bytes and keys, estimated by the leader. */
  readonly approximateSize: number;
  readonly approximateKeys: number;
  readonly bytesWritten: number;
  readonly bytesRead: number;
  readonly keysWritten: number;
  readonly keysRead: number;
  /** Monotonic ms of the last report; -1: none since this PD leads. */
  readonly reportedAtMs: number;
  /** Monotonic ms since which the reports show a joint configuration; -1: none. */
  readonly jointSinceMs: number;
}

/** Reads a region from the wire. A missing epoch reads as (0, 0). */
export function regionFromProto(region: Region): RegionDescriptor {
  return {
    regionId: region.regionId,
    startKey: toLatin1(region.startKey),
    endKey: toLatin1(region.endKey),
    confVer: region.epoch?.confVer ?? 0,
    version: region.epoch?.version ?? 0,
    peers: region.peers.map(({ peerId, storeId, role }) => ({ peerId, storeId, role })),
  };
}

/** Writes a region for the wire. */
export function regionToProto(region: RegionDescriptor): RegionInit {
  return {
    regionId: region.regionId,
    startKey: fromLatin1(region.startKey),
    endKey: fromLatin1(region.endKey),
    epoch: { confVer: region.confVer, version: region.version },
    peers: region.peers,
  };
}

/** Whether the peer votes: voters, and both halves of a joint configuration. */
export function isVoter(peer: RegionPeer): boolean {
  return peer.role !== PeerRole.LEARNER;
}

/** The voting peers. */
export function votersOf(region: RegionDescriptor): readonly RegionPeer[] {
  return region.peers.filter(isVoter);
}

/** The region's peer on a store. */
export function peerOnStore(region: RegionDescriptor, storeId: number): RegionPeer | undefined {
  return region.peers.find((peer) => peer.storeId === storeId);
}

/** The region's peer of this id. */
export function peerById(region: RegionDescriptor, peerId: number): RegionPeer | undefined {
  return region.peers.find((peer) => peer.peerId === peerId);
}

/** Whether the region is in a joint configuration. */
export function isJoint(region: RegionDescriptor): boolean {
  return region.peers.some((peer) => peer.role === PeerRole.INCOMING_VOTER || peer.role === PeerRole.DEMOTING_VOTER);
}

/** Whether two ranges share a key. */
export function rangesOverlap(
  a: { readonly startKey: string; readonly endKey: string },
  b: { readonly startKey: string; readonly endKey: string },
): boolean {
  return (b.endKey === "" || a.startKey < b.endKey) && (a.endKey === "" || b.startKey < a.endKey);
}

/** Says id and epoch, for messages: `region 12 (3,8)`. */
export function describeRegion(region: RegionDescriptor): string {
  return `region ${region.regionId} (${region.confVer},${region.version})`;
}
