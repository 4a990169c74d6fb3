/** A region as this store knows it, in memory. The wire form is `Region` of meta.proto. */
import { RheaError, fromLatin1, toLatin1, type RegionDetail } from "@rhea/common";
import type { Peer, PeerRole, Region } from "@rhea/proto";

/** +1 `confVer` per membership change, +1 `version` per split. */
export interface Epoch {
  readonly confVer: number;
  readonly version: number;
}

/** A member of a region. */
export interface PeerDescriptor {
  readonly peerId: number;
  readonly storeId: number;
  readonly role: PeerRole;
}

/** A region's range, epoch and members. Immutable: a change makes a new one. */
export interface RegionDescriptor {
  readonly regionId: number;
  /** Latin-1. */
  readonly start: string;
  /** Latin-1; empty: the end of the keyspace. */
  readonly end: string;
  readonly epoch: Epoch;
  readonly peers: readonly PeerDescriptor[];
}

/** Makes the wire form. */
export function descriptorToProto(descriptor: RegionDescriptor): Region {
  return {
    regionId: descriptor.regionId,
    startKey: fromLatin1(descriptor.start),
    endKey: fromLatin1(descriptor.end),
    epoch: { confVer: descriptor.epoch.confVer, version: descriptor.epoch.version },
    peers: descriptor.peers.map((peer): Peer => ({ peerId: peer.peerId, storeId: peer.storeId, role: peer.role })),
  };
}

/** Reads the wire form. Throws INVALID_ARGUMENT without an epoch or id. */
export function descriptorFromProto(region: Region): RegionDescriptor {
  if (region.epoch === null || region.regionId === 0) {
    throw new RheaError("INVALID_ARGUMENT", `region ${region.regionId}: a description needs an id and an epoch`);
  }
  return {
    regionId: region.regionId,
    start: toLatin1(region.startKey),
    end: toLatin1(region.endKey),
    epoch: { confVer: region.epoch.confVer, version: region.epoch.version },
    peers: region.peers.map((peer) => ({ peerId: peer.peerId, storeId: peer.storeId, role: peer.role })),
  };
}

/** Makes the form that error details carry. */
export function descriptorToDetail(descriptor: RegionDescriptor): RegionDetail {
  return {
    regionId: descriptor.regionId,
    startKey: fromLatin1(descriptor.start),
    endKey: fromLatin1(descriptor.end),
    epoch: descriptor.epoch,
    peers: descriptor.peers,
  };
}

/** Whether two ranges share a key; an empty end is the end of the keyspace. */
export function overlaps(
  a: { readonly start: string; readonly end: string },
  b: { readonly start: string; readonly end: string },
): boolean {
  return (a.end === "" || b.start < a.end) && (b.end === "" || a.start < b.end);
}
