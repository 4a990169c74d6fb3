/** A region's truth in the virtual cluster: what its raft group would have agreed on. Refuses what raft would refuse. */
import { PeerRole, StepKind, type OperationStep, type RegionStatsInit } from "@rhea/proto";
import { toLatin1 } from "@rhea/common";
import { regionToProto, type RegionPeer } from "../cluster/index.js";

/** A region, its leader and how far its peers are. */
export interface VirtualRegion {
  regionId: number;
  startKey: string;
  endKey: string;
  confVer: number;
  version: number;
  peers: RegionPeer[];
  leaderPeerId: number;
  term: number;
  size: number;
  keys: number;
  /** Peers that have all data. */
  caughtUp: Set<number>;
}

/** What a step did. */
export type StepOutcome =
  | { readonly kind: "changed"; readonly child?: VirtualRegion }
  | { readonly kind: "refused"; readonly code: string; readonly message: string };

const refused = (code: string, message: string): StepOutcome => ({ kind: "refused", code, message });

/** Makes the first region: one voter, the whole keyspace, epoch (1,1). */
export function firstRegion(regionId: number, peerId: number, storeId: number, size: number): VirtualRegion {
  return {
    ...{ regionId, startKey: "", endKey: "", confVer: 1, version: 1, leaderPeerId: peerId, term: 6, size, keys: 1000 },
    peers: [{ peerId, storeId, role: PeerRole.VOTER }],
    caughtUp: new Set([peerId]),
  };
}

/** Executes a step as the leader's store would. */
export function executeStep(region: VirtualRegion, step: OperationStep): StepOutcome {
  if (step.epoch?.confVer !== region.confVer || step.epoch.version !== region.version) {
    return refused("EPOCH_NOT_MATCH", `step for (${step.epoch?.confVer ?? 0},${step.epoch?.version ?? 0})`);
  }
  const { peer } = step;
  const present = region.peers.find((member) => member.peerId === peer?.peerId);
  switch (step.kind) {
    case StepKind.ADD_LEARNER:
      if (peer === null || present !== undefined) return refused("INVALID_ARGUMENT", "the peer is there");
      region.peers = [...region.peers, { peerId: peer.peerId, storeId: peer.storeId, role: PeerRole.LEARNER }];
      break;
    case StepKind.PROMOTE:
      if (present === undefined || !region.caughtUp.has(present.peerId))
        return refused("OPERATION_REFUSED", "not caught up");
      region.peers = region.peers.map((member) => (member === present ? { ...member, role: PeerRole.VOTER } : member));
      break;
    case StepKind.REMOVE_PEER:
      if (present === undefined || present.peerId === region.leaderPeerId)
        return refused("OPERATION_REFUSED", "leader");
      region.peers = region.peers.filter((member) => member !== present);
      break;
    case StepKind.TRANSFER_LEADER:
      if (present?.role !== PeerRole.VOTER) return refused("INVALID_ARGUMENT", "no voter");
      region.leaderPeerId = present.peerId;
      region.term++;
      return { kind: "changed" };
    case StepKind.SPLIT:
      return split(region, step);
    default:
      return refused("INVALID_ARGUMENT", `step kind ${step.kind}`);
  }
  region.confVer++;
  return { kind: "changed" };
}

/** The key half-way between two keys, taken as binary fractions of 6 bytes. */
function middleKey(start: string, end: string): string {
  const fraction = (key: string) => Buffer.from(key.slice(0, 6).padEnd(6, "\0"), "latin1").readUIntBE(0, 6);
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(Math.floor((fraction(start) + (end === "" ? 2 ** 48 : fraction(end))) / 2), 0, 6);
  return bytes.toString("latin1");
}

function split(region: VirtualRegion, step: OperationStep): StepOutcome {
  if (step.childPeerIds.length !== region.peers.length) return refused("INVALID_ARGUMENT", "child peers");
  const key = step.splitKey.length > 0 ? toLatin1(step.splitKey) : middleKey(region.startKey, region.endKey);
  const [size, keys] = [Math.floor(region.size / 2), Math.floor(region.keys / 2)];
  const peers = region.peers.map((member, i) => ({ ...member, peerId: step.childPeerIds[i] ?? 0 }));
  const leaderIndex = region.peers.findIndex((member) => member.peerId === region.leaderPeerId);
  const child: VirtualRegion = {
    ...{
      regionId: step.childRegionId,
      startKey: key,
      endKey: region.endKey,
      confVer: region.confVer,
      version: region.version + 1,
    },
    ...{ peers, leaderPeerId: peers[leaderIndex]?.peerId ?? 0, term: 6, size, keys },
    caughtUp: new Set(peers.map(({ peerId }) => peerId)),
  };
  Object.assign(region, {
    endKey: key,
    version: region.version + 1,
    size: region.size - size,
    keys: region.keys - keys,
  });
  return { kind: "changed", child };
}

/** The leader's report. `isLive`: whether a store answers. */
export function reportOf(region: VirtualRegion, isLive: (storeId: number) => boolean): RegionStatsInit {
  const live = (peer: RegionPeer) => isLive(peer.storeId);
  return {
    region: regionToProto(region),
    leader: region.peers.find((peer) => peer.peerId === region.leaderPeerId) ?? null,
    term: region.term,
    downPeers: region.peers.filter((peer) => !live(peer)).map((peer) => ({ peer, downSeconds: 1 })),
    pendingPeers: region.peers.filter((peer) => live(peer) && !region.caughtUp.has(peer.peerId)),
    approximateSize: region.size,
    approximateKeys: region.keys,
    progress: region.peers.map((peer) => ({
      peerId: peer.peerId,
      match: 1,
      caughtUp: live(peer) && region.caughtUp.has(peer.peerId),
    })),
  };
}
