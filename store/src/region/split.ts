/** Applies a split: parent and child change in one engine batch, which is durable before the child's first log record. */
import { RheaError, toLatin1 } from "@rhea/common";
import { CommandResult, type Command } from "@rhea/proto";
import type { CommittedEntry } from "@rhea/raft";
import { descriptorToProto, type RegionDescriptor } from "../format/descriptor.js";
import { Region } from "./region.js";
import type { PendingCommand } from "./reply-sink.js";

/** Where a split's child starts its log, on every replica: an empty peer, at 0, is always sent a snapshot. */
export const FIRST_INDEX = 5;
/** Its term there. */
export const FIRST_TERM = 5;

/** Applies the split at its place of the log; the epoch has been checked. Sets the applied index itself. */
export async function applySplit(
  parent: Region,
  entry: CommittedEntry,
  command: Command,
  pending: PendingCommand | undefined,
): Promise<void> {
  const halves = planSplit(parent, command);
  if (halves instanceof RheaError) {
    parent.advance(entry.index, entry.term);
    pending?.sink.error(pending.id, halves);
    return;
  }
  const { context } = parent;
  const own = halves.child.peers.find((peer) => peer.storeId === context.storeId);
  const plan = own === undefined ? undefined : { descriptor: halves.child, peerId: own.peerId };
  const size = parent.load.approximateSize / 2;
  const keys = parent.load.approximateKeys / 2;
  parent.setDescriptor(halves.parent);
  parent.load.invalidate();
  parent.load.estimate(size, keys);
  let child: Region | undefined;
  if (plan !== undefined && context.mayCreateChild(plan)) {
    child = new Region(context, {
      record: {
        descriptor: plan.descriptor,
        peerId: plan.peerId,
        confState: childConfState(parent, halves.child),
        logStarted: false,
        awaitingSnapshot: false,
      },
      applied: {
        index: FIRST_INDEX,
        term: FIRST_TERM,
        revision: parent.revision,
        stamp: parent.time.stamp,
        approximateSize: size,
        approximateKeys: keys,
      },
      sessions: parent.sessions.copy(),
    });
    child.load.invalidate();
    child.load.estimate(size, keys);
    context.ranges.add(child);
    child.markRecordDirty();
  } else {
    // A peer of the child was here and is gone, or waits for its own snapshot: what is left of the range belongs to nobody.
    context.addPendingClear(halves.child);
  }
  parent.advance(entry.index, entry.term);
  await context.overlay.flush();
  if (child !== undefined) context.startChild(child, parent.isLeader);
  const regions = [descriptorToProto(halves.parent), descriptorToProto(halves.child)];
  pending?.sink.command(
    pending.id,
    CommandResult.encode({ applied: true, revision: parent.revision, regions }).finish(),
  );
  context.onChanged(parent);
}

/** Both halves, or why the split is refused: the same on every replica. */
function planSplit(
  parent: Region,
  command: Command,
): { parent: RegionDescriptor; child: RegionDescriptor } | RheaError {
  const { descriptor } = parent;
  const refuse = (why: string): RheaError =>
    new RheaError("OPERATION_REFUSED", `region ${parent.regionId}: cannot split: ${why}`, {
      details: { regionId: parent.regionId },
    });
  const { split } = command;
  if (split === null) return refuse("the command has no parameters");
  const splitKey = toLatin1(split.splitKey);
  if (splitKey <= descriptor.start || (descriptor.end !== "" && splitKey >= descriptor.end)) {
    return refuse("the split key is not inside the region's range");
  }
  if (parent.confState.votersOutgoing.length > 0)
    return refuse("its membership is changing; retry when that has ended");
  if (split.childPeerIds.length !== descriptor.peers.length) {
    return refuse(`it has ${descriptor.peers.length} peers, the command brings ${split.childPeerIds.length} peer ids`);
  }
  const version = descriptor.epoch.version + 1;
  const { confVer } = descriptor.epoch;
  return {
    parent: { ...descriptor, end: splitKey, epoch: { confVer, version } },
    child: {
      regionId: split.childRegionId,
      start: splitKey,
      end: descriptor.end,
      epoch: { confVer, version },
      peers: descriptor.peers.map((peer, i) => ({ ...peer, peerId: split.childPeerIds[i] ?? 0 })),
    },
  };
}

function childConfState(parent: Region, child: RegionDescriptor): Region["confState"] {
  const childOf = new Map(parent.descriptor.peers.map((peer, i) => [peer.peerId, child.peers[i]?.peerId ?? 0]));
  const translate = (peers: readonly number[]): number[] =>
    peers.map((peer) => childOf.get(peer) ?? 0).sort((a, b) => a - b);
  return {
    voters: translate(parent.confState.voters),
    learners: translate(parent.confState.learners),
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
}
