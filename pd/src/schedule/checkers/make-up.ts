/** Adds missing peers. It counts configured ones, down ones included: replacing those is the down-store checker's or the operator's part. */
import { describeRegion, votersOf } from "../../cluster/index.js";
import { PRIORITY } from "../../operations/index.js";
import type { Checker } from "../context.js";
import { addVoterSteps, removePeerStep, usableLearner } from "../move-steps.js";
import { chooseStore } from "../placement.js";

/** A learner that could not be made a voter this often gives its place to another: waiting for it longer would leave the voter missing for ever. */
const HOPELESS_FAILURES = 2;

export const makeUpChecker: Checker = {
  name: "make-up",
  check(region, context) {
    const wanted = context.view.settings.replicas;
    const voters = votersOf(region).length;
    if (voters >= wanted) return undefined;
    const head = { regionId: region.regionId, kind: "make-up", origin: "checker", priority: PRIORITY.urgent } as const;
    const missing = `${describeRegion(region)} has ${voters} of ${wanted} voters`;
    const learner = usableLearner(region, context);
    const failures = learner === undefined ? 0 : context.failures(region.regionId, "make-up");
    if (learner !== undefined && failures >= HOPELESS_FAILURES) {
      const reason = `${missing}: learner ${learner.peerId} on store ${learner.storeId} goes, it did not become one ${failures} times`;
      return { ...head, steps: [removePeerStep(learner)], reason };
    }
    if (learner !== undefined) {
      const reason = `${missing}: learner ${learner.peerId} on store ${learner.storeId} becomes one`;
      return { ...head, steps: addVoterSteps(learner.storeId, learner.peerId), reason };
    }
    if (region.peers.length >= wanted) return undefined;
    const placement = chooseStore(region, [], context);
    if (placement.kind === "none") return undefined;
    return {
      ...head,
      steps: addVoterSteps(placement.store.storeId),
      reason: `${missing}: adds one on ${placement.fact}`,
    };
  },
};
