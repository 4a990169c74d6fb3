/** Rebuilds a peer in `error` or condemned on a store that lives: removed, and added again as a new peer. */
import { describeRegion, isLiveStore } from "../../cluster/index.js";
import { PRIORITY, proveRemoval } from "../../operations/index.js";
import type { Checker } from "../context.js";
import { addVoterSteps, planReplacement, removePeerStep } from "../move-steps.js";

export const brokenPeerChecker: Checker = {
  name: "broken-peer",
  check(region, context) {
    const { view, nowMs } = context;
    for (const peer of region.peers) {
      const store = view.stores.get(peer.storeId);
      const fault = store?.faults.get(region.regionId);
      if (store === undefined || fault?.peerId !== peer.peerId || peer.peerId === region.leaderPeerId) continue;
      if (!isLiveStore(store, nowMs, view.settings)) continue;
      const head = {
        regionId: region.regionId,
        kind: "rebuild-peer",
        origin: "checker",
        priority: PRIORITY.urgent,
      } as const;
      const broken = `${describeRegion(region)} has peer ${peer.peerId} broken on live store ${peer.storeId} (${fault.code})`;
      const proof = proveRemoval(region, peer.peerId, view, nowMs);
      if (proof.holds && store.lifecycle === "up") {
        const steps = [removePeerStep(peer), ...addVoterSteps(peer.storeId)];
        return { ...head, steps, reason: `${broken}: removed and added again, ${proof.fact}` };
      }
      const plan = planReplacement(region, peer, context);
      if (plan.kind === "steps") return { ...head, steps: plan.steps, reason: `${broken}: ${plan.fact}` };
    }
    return undefined;
  },
};
