/** Evens out the number of leaders: from the store with the most to the one with the fewest that has a voter of the region. */
import { describeRegion, type StoreView } from "../../cluster/index.js";
import { leaderCandidates, PRIORITY, type Proposal } from "../../operations/index.js";
import type { ClusterScheduler, ScheduleContext } from "../context.js";
import { acceptsLeaders } from "../placement.js";

/** A transfer must leave the source with at least as many leaders as the target has then: no swing back. */
const MIN_DIFFERENCE = 2;

export const balanceLeadersScheduler: ClusterScheduler = {
  name: "balance-leaders",
  kind: "balance-leader",
  propose(context, room) {
    const counts = new Map<number, number>();
    for (const store of context.view.stores.all()) {
      if (acceptsLeaders(store, context)) counts.set(store.storeId, leaderCount(store, context));
    }
    const taken = new Set<number>();
    const proposals: Proposal[] = [];
    while (proposals.length < room) {
      const proposal = proposeOne(counts, taken, context);
      if (proposal === undefined) break;
      proposals.push(proposal);
    }
    return proposals;
  },
};

function leaderCount(store: StoreView, context: ScheduleContext): number {
  return context.view.regions.usage(store.storeId).leaderRegionIds.size + context.influence(store.storeId).leaders;
}

function proposeOne(counts: Map<number, number>, taken: Set<number>, context: ScheduleContext): Proposal | undefined {
  const { view, nowMs } = context;
  const bySize = [...counts].sort((a, b) => b[1] - a[1]);
  const least = bySize.at(-1)?.[1] ?? 0;
  for (const [sourceId, sourceCount] of bySize) {
    if (sourceCount - least < MIN_DIFFERENCE) return undefined;
    for (const regionId of view.regions.usage(sourceId).leaderRegionIds) {
      const region = view.regions.get(regionId);
      if (region === undefined || taken.has(regionId) || context.isBusy(regionId)) continue;
      if (context.isHeldBack(regionId, "balance-leader")) continue;
      const heir = leaderCandidates(region, view, nowMs)
        .filter((peer) => counts.has(peer.storeId))
        .sort((a, b) => (counts.get(a.storeId) ?? 0) - (counts.get(b.storeId) ?? 0))[0];
      const targetCount = heir === undefined ? undefined : counts.get(heir.storeId);
      if (heir === undefined || targetCount === undefined || sourceCount - targetCount < MIN_DIFFERENCE) continue;
      taken.add(regionId);
      counts.set(sourceId, sourceCount - 1);
      counts.set(heir.storeId, targetCount + 1);
      return {
        regionId,
        kind: "balance-leader",
        steps: [{ kind: "transferLeader", storeId: heir.storeId, peerId: heir.peerId }],
        origin: "scheduler",
        priority: PRIORITY.balance,
        reason: `store ${sourceId} leads ${sourceCount} regions, store ${heir.storeId} ${targetCount}: ${describeRegion(region)} changes over`,
      };
    }
  }
  return undefined;
}
