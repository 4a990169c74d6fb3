/** Evens out the size of stores: a peer moves from the largest to the smallest while that does not turn them around. */
import {
  describeRegion,
  isEvictingLeaders,
  isVoter,
  regionScore,
  type RegionPeer,
  type RegionView,
  type StoreView,
} from "../../cluster/index.js";
import { isLivePeer, PRIORITY, type Proposal } from "../../operations/index.js";
import type { ClusterScheduler, ScheduleContext } from "../context.js";
import { addVoterSteps, removePeerStep } from "../move-steps.js";
import { mebibytes, placementRefusal, sharedDomains, storeScore } from "../placement.js";

/** Differences below this share of the larger store are left alone. */
const TOLERANCE_RATIO = 0.05;
/** Regions looked at per pair of stores before the next pair is tried. */
const LOOK_AT = 64;

export const balanceRegionsScheduler: ClusterScheduler = {
  name: "balance-regions",
  kind: "balance-region",
  propose(context, room) {
    const proposals: Proposal[] = [];
    const scores = new Map<number, number>();
    for (const store of context.view.stores.all()) {
      if (store.lifecycle === "up") scores.set(store.storeId, storeScore(store.storeId, context));
    }
    const taken = new Set<number>();
    while (proposals.length < room) {
      const proposal = proposeOne(scores, taken, context);
      if (proposal === undefined) break;
      proposals.push(proposal);
    }
    return proposals;
  },
};

function proposeOne(scores: Map<number, number>, taken: Set<number>, context: ScheduleContext): Proposal | undefined {
  const byScore = [...scores].sort((a, b) => b[1] - a[1]);
  const targets = byScore
    .toReversed()
    .flatMap(([storeId]) => context.view.stores.get(storeId) ?? [])
    .filter((store) => placementRefusal(store, context) === undefined && !isEvictingLeaders(store, context.nowMs));
  for (const [sourceId, sourceScore] of byScore) {
    for (const target of targets) {
      const difference = sourceScore - (scores.get(target.storeId) ?? 0);
      if (difference <= sourceScore * TOLERANCE_RATIO) break;
      const found = findMove(sourceId, target, difference, taken, context);
      if (found === undefined) continue;
      const { region, peer } = found;
      const targetScore = scores.get(target.storeId) ?? 0;
      taken.add(region.regionId);
      scores.set(sourceId, sourceScore - regionScore(region));
      scores.set(target.storeId, targetScore + regionScore(region));
      return {
        regionId: region.regionId,
        kind: "balance-region",
        steps: [...addVoterSteps(target.storeId), removePeerStep(peer)],
        origin: "scheduler",
        priority: PRIORITY.balance,
        reason: `store ${sourceId} has ${mebibytes(sourceScore)}, store ${target.storeId} ${mebibytes(targetScore)}: ${describeRegion(region)} of ${mebibytes(regionScore(region))} moves`,
      };
    }
  }
  return undefined;
}

/** The largest movable region of the first {@link LOOK_AT} that are at most half the difference; a follower's peer before a leader's. */
function findMove(
  sourceId: number,
  target: StoreView,
  difference: number,
  taken: ReadonlySet<number>,
  context: ScheduleContext,
): { region: RegionView; peer: RegionPeer } | undefined {
  let best: { region: RegionView; peer: RegionPeer; rank: number } | undefined;
  let looked = 0;
  for (const regionId of context.view.regions.usage(sourceId).regionIds) {
    if (looked >= LOOK_AT && best !== undefined) break;
    const region = context.view.regions.get(regionId);
    if (region === undefined || taken.has(regionId) || context.isBusy(regionId)) continue;
    looked++;
    const peer = region.peers.find((candidate) => candidate.storeId === sourceId);
    if (peer === undefined || regionScore(region) * 2 > difference) continue;
    if (!canMove(region, peer, target, context)) continue;
    const rank = regionScore(region) - (region.leaderStoreId === sourceId ? 1e15 : 0);
    if (best === undefined || rank > best.rank) best = { region, peer, rank };
  }
  return best;
}

/** Only a region in full health moves, and never into a worse spread over failure domains. */
function canMove(region: RegionView, peer: RegionPeer, target: StoreView, context: ScheduleContext): boolean {
  const { view, nowMs } = context;
  if (region.leaderPeerId === 0 || region.peers.length !== view.settings.replicas) return false;
  if (region.peers.some((other) => other.storeId === target.storeId)) return false;
  if (!region.peers.every((other) => isVoter(other) && isLivePeer(region, other, view, nowMs))) return false;
  if (context.isHeldBack(region.regionId, "balance-region")) return false;
  const source = view.stores.get(peer.storeId);
  const others = region.peers.filter((other) => other !== peer).map((other) => other.storeId);
  return source !== undefined && sharedDomains(target, others, context) <= sharedDomains(source, others, context);
}
