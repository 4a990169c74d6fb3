/** Leaves a joint configuration that stays: normally raft leaves it by itself. */
import { describeRegion } from "../../cluster/index.js";
import { PRIORITY } from "../../operations/index.js";
import type { Checker } from "../context.js";

/** A joint configuration is stuck after this long, ms. */
const STUCK_MS = 10_000;

export const leaveJointChecker: Checker = {
  name: "leave-joint",
  check(region, { nowMs }) {
    if (region.jointSinceMs < 0 || nowMs - region.jointSinceMs < STUCK_MS) return undefined;
    const forSeconds = Math.round((nowMs - region.jointSinceMs) / 1000);
    return {
      regionId: region.regionId,
      kind: "leave-joint",
      steps: [{ kind: "leaveJoint" }],
      origin: "checker",
      priority: PRIORITY.urgent,
      reason: `${describeRegion(region)} is in a joint configuration for ${forSeconds} s, ${STUCK_MS / 1000} s allowed`,
    };
  },
};
