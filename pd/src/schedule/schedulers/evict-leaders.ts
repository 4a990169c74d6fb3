/** Moves leaders away from stores under an eviction lease. Draining stores are the draining-store checker's. */
import { describeRegion } from "../../cluster/index.js";
import { leaderCandidates, PRIORITY, type Proposal } from "../../operations/index.js";
import type { ClusterScheduler } from "../context.js";

export const evictLeadersScheduler: ClusterScheduler = {
  name: "evict-leaders",
  kind: "evict-leader",
  propose(context, room) {
    const { view, nowMs } = context;
    const proposals: Proposal[] = [];
    for (const store of view.stores.all()) {
      if (store.evictLeadersUntilMs <= nowMs) continue;
      const { leaderRegionIds } = view.regions.usage(store.storeId);
      for (const regionId of leaderRegionIds) {
        if (proposals.length >= room) return proposals;
        const region = view.regions.get(regionId);
        if (region === undefined || context.isBusy(regionId) || context.isHeldBack(regionId, "evict-leader")) continue;
        const heir = leaderCandidates(region, view, nowMs)[0];
        if (heir === undefined) continue;
        proposals.push({
          regionId,
          kind: "evict-leader",
          steps: [{ kind: "transferLeader", storeId: heir.storeId, peerId: heir.peerId }],
          origin: "scheduler",
          priority: PRIORITY.normal,
          reason: `leaders leave store ${store.storeId} (${leaderRegionIds.size} there): ${describeRegion(region)} goes to store ${heir.storeId}`,
        });
      }
    }
    return proposals;
  },
};
