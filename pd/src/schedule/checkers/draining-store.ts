/** Empties draining stores: the leader leaves first, then the peer is replaced. A drain is an explicit wish, so it also moves peers of a store that fell silent. */
import { describeRegion } from "../../cluster/index.js";
import { leaderCandidates, PRIORITY } from "../../operations/index.js";
import type { Checker } from "../context.js";
import { planReplacement } from "../move-steps.js";

export const drainingStoreChecker: Checker = {
  name: "draining-store",
  check(region, context) {
    const { view, nowMs } = context;
    for (const peer of region.peers) {
      const store = view.stores.get(peer.storeId);
      if (store?.lifecycle !== "draining") continue;
      const head = { regionId: region.regionId, origin: "checker", priority: PRIORITY.normal } as const;
      const left = view.regions.usage(store.storeId).regionIds.size;
      const drain = `store ${store.storeId} is draining, ${left} of ${Math.max(store.drainTotal, left)} regions left`;
      const heir = peer.peerId === region.leaderPeerId ? leaderCandidates(region, view, nowMs)[0] : undefined;
      if (heir !== undefined && !context.isHeldBack(region.regionId, "drain-leader")) {
        const steps = [{ kind: "transferLeader", storeId: heir.storeId, peerId: heir.peerId }] as const;
        const reason = `${drain}: ${describeRegion(region)} is led there, store ${heir.storeId} takes over`;
        return { ...head, kind: "drain-leader", steps, reason };
      }
      const plan = planReplacement(region, peer, context);
      if (plan.kind === "none") continue;
      const reason = `${drain}: ${describeRegion(region)} leaves it, ${plan.fact}`;
      return { ...head, kind: "drain-region", steps: plan.steps, reason };
    }
    return undefined;
  },
};
