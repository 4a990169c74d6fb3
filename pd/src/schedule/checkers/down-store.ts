/** Replaces peers on down stores. Under an operator they are the operator's, but for those on tombstones: it has forgotten such stores. */
import { describeRegion, storeHealth, type RegionPeer } from "../../cluster/index.js";
import { PRIORITY } from "../../operations/index.js";
import type { Checker, ScheduleContext } from "../context.js";
import { planReplacement } from "../move-steps.js";

export const downStoreChecker: Checker = {
  name: "down-store",
  check(region, context) {
    for (const peer of region.peers) {
      const why = lossOf(peer, context);
      if (why === undefined) continue;
      const plan = planReplacement(region, peer, context);
      if (plan.kind === "none") continue;
      return {
        regionId: region.regionId,
        kind: "replace-down-peer",
        steps: plan.steps,
        origin: "checker",
        priority: PRIORITY.urgent,
        reason: `${describeRegion(region)} has peer ${peer.peerId} on store ${peer.storeId}, ${why}: ${plan.fact}`,
      };
    }
    return undefined;
  },
};

/** Why a peer counts as lost with its store, or undefined. */
function lossOf(peer: RegionPeer, { view, nowMs }: ScheduleContext): string | undefined {
  const store = view.stores.get(peer.storeId);
  if (store === undefined) return "which is unknown";
  if (store.lifecycle === "tombstone") return "which is a tombstone";
  if (view.settings.repair === "operator" || storeHealth(store, nowMs, view.settings) !== "down") return undefined;
  if (store.diskLost) return "whose disk is lost";
  const seconds = (ms: number) => Math.round(ms / 1000);
  return `silent for ${seconds(nowMs - store.lastHeartbeatMs)} s, ${seconds(view.settings.maxDownTimeMs)} s allowed`;
}
