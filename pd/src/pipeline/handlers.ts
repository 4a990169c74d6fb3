/** The built-in handlers, in order: validate, persist, region-cache, statistics, held-peers, operations, checkers, answer. */
import type { OperationStepInit, RegionStats } from "@rhea/proto";
import { peerById, regionFromProto, type Cluster, type RegionDescriptor, type RegionView } from "../cluster/index.js";
import type { OperationTable } from "../operations/index.js";
import type { HeartbeatHandler, RegionReport } from "./pipeline.js";

/** What the handlers act on. */
export interface HandlerPorts {
  readonly cluster: Cluster;
  readonly operations: OperationTable;
  /** Queues a region to be persisted, and evicted ones to be deleted. */
  readonly saveRegion: (region: RegionDescriptor, evicted: readonly RegionView[]) => void;
  /** Asks the checkers about a region without an operation. */
  readonly check: (region: RegionView) => void;
  readonly sendStep: (storeId: number, step: OperationStepInit) => void;
  /** Tells a store that its peer is no member any more, with the region as the proof. */
  readonly sendDestroy: (storeId: number, region: RegionDescriptor, peerId: number) => void;
  /** Peers that stores said to hold and that the region, as known then, did not have. Taken out of the record. */
  readonly takeClaims: (region: RegionView) => readonly { readonly storeId: number; readonly peerId: number }[];
}

/** Makes the built-in handlers. */
export function builtInHandlers(ports: HandlerPorts): readonly HeartbeatHandler[] {
  return [
    validate(ports),
    persist(ports),
    regionCache(ports),
    statistics(ports),
    heldPeers(ports),
    operations(ports),
    checkers(ports),
    answer(ports),
  ];
}

/** Refuses reports that are malformed or older than what is stored. A stale leader that is no member is told so. */
function validate({ cluster, sendDestroy }: HandlerPorts): HeartbeatHandler {
  return {
    name: "validate",
    isRequired: true,
    handle(report) {
      const { region, leader, term } = report.stats;
      if (region === null || leader === null || region.epoch === null) return "region, epoch or leader is missing";
      if (leader.storeId !== report.storeId) return `leader is on store ${leader.storeId}, not on the reporting one`;
      if (!region.peers.some((peer) => peer.peerId === leader.peerId))
        return `leader ${leader.peerId} is no peer of the region`;
      const known = cluster.regions.get(region.regionId);
      const { confVer, version } = region.epoch;
      if (known?.confVer === confVer && known.version === version) {
        return term < known.term ? `term ${term} is older than ${known.term}` : undefined;
      }
      const descriptor = regionFromProto(region);
      if (descriptor.endKey !== "" && descriptor.startKey >= descriptor.endKey) return "the range is empty";
      const judgement = cluster.regions.judge(descriptor);
      if (judgement.kind === "stale") {
        const { by } = judgement;
        if (by.regionId === region.regionId && peerById(by, leader.peerId) === undefined && by.confVer > confVer) {
          sendDestroy(report.storeId, by, leader.peerId);
        }
        return `epoch (${confVer},${version}) is older than region ${by.regionId} (${by.confVer},${by.version})`;
      }
      report.newer = descriptor;
      report.evicts = judgement.kind === "newer" ? judgement.evicts : [];
      return undefined;
    },
  };
}

/** Queues changes of range, epoch and peers; statistics are never persisted. */
function persist({ saveRegion }: HandlerPorts): HeartbeatHandler {
  return {
    name: "persist",
    handle(report) {
      if (report.newer !== undefined) saveRegion(report.newer, report.evicts);
      return undefined;
    },
  };
}

/** Takes the descriptor into the map and sends proofs to stores whose peers have left. */
function regionCache({ cluster, sendDestroy }: HandlerPorts): HeartbeatHandler {
  return {
    name: "region-cache",
    isRequired: true,
    handle(report) {
      const regionId = report.stats.region?.regionId ?? 0;
      const { newer } = report;
      if (newer !== undefined) {
        const before = cluster.regions.get(regionId)?.peers ?? [];
        cluster.regions.put(newer);
        for (const peer of before) {
          if (peerById(newer, peer.peerId) === undefined) sendDestroy(peer.storeId, newer, peer.peerId);
        }
      }
      report.region = cluster.regions.get(regionId);
      return report.region === undefined ? `region ${regionId} is not in the map` : undefined;
    },
  };
}

/** Takes in who leads and what the leader measured. */
function statistics({ cluster }: HandlerPorts): HeartbeatHandler {
  return {
    name: "statistics",
    isRequired: true,
    handle(report) {
      const { region, stats } = report;
      if (region === undefined) return undefined;
      // An old leader's last word may bring a newer epoch than its successor's first: the epoch is taken, the leadership is not.
      if (stats.term < region.term) return `term ${stats.term} is older than ${region.term}`;
      cluster.regions.report(region.regionId, reportFields(stats, report));
      return undefined;
    },
  };
}

const NO_PEERS: readonly number[] = [];

function reportFields(stats: RegionStats, { storeId, nowMs }: RegionReport) {
  const ids = stats.downPeers.flatMap(({ peer }) => (peer === null ? [] : [peer.peerId]));
  return {
    leaderPeerId: stats.leader?.peerId ?? 0,
    leaderStoreId: storeId,
    term: stats.term,
    downPeerIds: ids.length === 0 ? NO_PEERS : ids,
    pendingPeerIds: stats.pendingPeers.length === 0 ? NO_PEERS : stats.pendingPeers.map((peer) => peer.peerId),
    caughtUpPeerIds: caughtUp(stats),
    approximateSize: stats.approximateSize,
    approximateKeys: stats.approximateKeys,
    bytesWritten: stats.bytesWritten,
    bytesRead: stats.bytesRead,
    keysWritten: stats.keysWritten,
    keysRead: stats.keysRead,
    reportedAtMs: nowMs,
  };
}

function caughtUp(stats: RegionStats): readonly number[] {
  const ids: number[] = [];
  for (const { peerId, caughtUp } of stats.progress) if (caughtUp) ids.push(peerId);
  return ids.length === 0 ? NO_PEERS : ids;
}

/**
 * Proves to stores that peers which they hold have left the region. The claim came well before this report, and a leader reports a change of
 * members at once, so a peer that was created by a running change is in the report.
 */
function heldPeers({ takeClaims, sendDestroy, operations }: HandlerPorts): HeartbeatHandler {
  return {
    name: "held-peers",
    handle({ region }) {
      if (region === undefined) return undefined;
      for (const { storeId, peerId } of takeClaims(region)) {
        const isComing = operations
          .of(region.regionId)
          ?.steps.some((step) => "peerId" in step && step.peerId === peerId && step.kind !== "removePeer");
        if (peerById(region, peerId) === undefined && isComing !== true) sendDestroy(storeId, region, peerId);
      }
      return undefined;
    },
  };
}

/** Judges the region's operation by the report. */
function operations(ports: HandlerPorts): HeartbeatHandler {
  return {
    name: "operations",
    handle({ region, nowMs }) {
      if (region !== undefined) ports.operations.advance(region, nowMs);
      return undefined;
    },
  };
}

/** Asks what the region needs. */
function checkers(ports: HandlerPorts): HeartbeatHandler {
  return {
    name: "checkers",
    handle({ region }) {
      if (region !== undefined && ports.operations.of(region.regionId) === undefined) ports.check(region);
      return undefined;
    },
  };
}

/** Sends the leader the step that is due; it is repeated with every report until the report shows it done. */
function answer(ports: HandlerPorts): HeartbeatHandler {
  return {
    name: "answer",
    handle({ region, storeId, nowMs }) {
      const step = region === undefined ? undefined : ports.operations.command(region, nowMs);
      if (step !== undefined) ports.sendStep(storeId, step);
      return undefined;
    },
  };
}
