/** A region as the raft host sees it: JRaft's StateMachine. */
import { InvariantError, RheaError } from "@rhea/common";
import { PeerRole } from "@rhea/proto";
import type { CommittedConfChange, CommittedEntry, ConfState, PeerInfo, StateMachine } from "@rhea/raft";
import type { PeerDescriptor } from "../format/descriptor.js";
import { applyEntries } from "./apply.js";
import { notLeaderError } from "./epoch-errors.js";
import type { Region } from "./region.js";
import { ProposedEntry } from "./reply-sink.js";
import { loadSnapshot } from "./snapshot-load.js";
import { saveSnapshot } from "./snapshot-save.js";

/** Makes the state machine of a region. All calls come from the host, on the event loop, never re-entrantly. */
export function createRegionMachine(region: Region): StateMachine {
  const { context } = region;
  return {
    onApply: (entries) => apply(region, entries),
    onConfChange: (change) => judge(region, change),
    onConfigurationCommitted: (confState, peers, index) => takeConfiguration(region, confState, peers, index),
    onDropped: (proposed, error) => answerDropped(region, proposed, error),
    onLeaderStart: (term) => {
      region.leaderId = region.peerId;
      region.membersSinceMs = context.env.clock.monotonicMs();
      context.onLeadership(region, true, term);
    },
    onLeaderStop: () => {
      if (region.leaderId === region.peerId) region.leaderId = 0;
      region.failPending(notLeaderError(region));
      context.onLeadership(region, false, region.node?.term ?? 0);
    },
    onLeaderChange: (leader) => {
      region.leaderId = leader;
      context.onChanged(region);
    },
    onSnapshotSave: (directory) => saveSnapshot(region, directory),
    onSnapshotLoad: (files, snapshot) => loadSnapshot(region, files, snapshot),
    durableIndex: () => region.durableIndex,
    onError: (error) => region.reportFault(error),
    onShutdown: () => region.failPending(new RheaError("SHUTTING_DOWN", `region ${region.regionId}: its peer stops`)),
  };
}

function apply(region: Region, entries: readonly CommittedEntry[]): void | Promise<void> {
  const room = region.context.overlay.room();
  if (room !== undefined) return room.then(() => applyEntries(region, entries));
  return applyEntries(region, entries);
}

/**
 * The judgement of a membership change at its place in the log, the same on every replica: a peer id is not given twice, and a store
 * has one peer of a region. A refused change has no effect but counts as applied.
 */
function judge(region: Region, change: CommittedConfChange): boolean {
  const { peers } = region.descriptor;
  const isSound =
    change.isForced ||
    change.changes.every(({ action, peer }) => {
      const present = peers.find(({ peerId }) => peerId === peer.peerId);
      if (action === "remove") return present !== undefined && peers.length > 1;
      if (present !== undefined) return present.storeId === peer.storeId;
      return !peers.some(({ storeId }) => storeId === peer.storeId);
    });
  if (!isSound) region.advance(change.index, change.term);
  else pending.set(region, change);
  return isSound;
}

/** The change that was let through and is about to take effect. */
const pending = new WeakMap<Region, CommittedConfChange>();

/** What a reset by force adds to the version of the members: more than the history that it gives up can have come to unseen. */
const FORCED_CONF_VERSIONS = 1_000;

function takeConfiguration(region: Region, confState: ConfState, peers: readonly PeerInfo[], index: number): void {
  if (index <= region.appliedIndex) return; // a start or an installed snapshot: the records have it
  const change = pending.get(region);
  if (change === undefined)
    throw new InvariantError(`region ${region.regionId}: a configuration at ${index} nobody judged`);
  pending.delete(region);
  const { descriptor } = region;
  const { version } = descriptor.epoch;
  const confVer = descriptor.epoch.confVer + (change.isForced ? FORCED_CONF_VERSIONS : 1);
  const members = peers.map((peer): PeerDescriptor => ({ ...identity(peer), role: roleOf(confState, peer.peerId) }));
  members.sort((a, b) => a.peerId - b.peerId);
  region.setDescriptor({ ...descriptor, epoch: { confVer, version }, peers: members }, confState);
  region.membersSinceMs = region.context.env.clock.monotonicMs();
  region.advance(index, change.term);
  region.context.onChanged(region);
  if (!members.some(({ peerId }) => peerId === region.peerId)) region.context.destroyRemoved(region);
}

const identity = (peer: PeerInfo): { peerId: number; storeId: number } => ({
  peerId: peer.peerId,
  storeId: peer.storeId,
});

function roleOf(confState: ConfState, peerId: number): PeerRole {
  const isVoter = confState.voters.includes(peerId);
  const wasVoter = confState.votersOutgoing.includes(peerId);
  if (confState.votersOutgoing.length === 0) return isVoter ? PeerRole.VOTER : PeerRole.LEARNER;
  if (isVoter) return wasVoter ? PeerRole.VOTER : PeerRole.INCOMING_VOTER;
  return wasVoter ? PeerRole.DEMOTING_VOTER : PeerRole.LEARNER;
}

function answerDropped(region: Region, proposed: unknown, error: RheaError): void {
  if (!(proposed instanceof ProposedEntry)) return;
  const answer = error.code === "NOT_LEADER" && error.details.leader === undefined ? withHint(region, error) : error;
  for (const { id, sink } of proposed.pending) sink.error(id, answer);
}

function withHint(region: Region, error: RheaError): RheaError {
  const hint = notLeaderError(region);
  return new RheaError("NOT_LEADER", error.message, { details: { ...hint.details, ...error.details }, cause: error });
}
