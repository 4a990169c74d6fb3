/** Splits regions that grew above the limits. The store finds the key near the middle. */
import { describeRegion, isJoint } from "../../cluster/index.js";
import { PRIORITY } from "../../operations/index.js";
import type { Checker } from "../context.js";
import { mebibytes } from "../placement.js";

export const splitSizeChecker: Checker = {
  name: "split",
  check(region, { view }) {
    const { regionMaxBytes, regionMaxKeys } = view.settings;
    const isLarge = region.approximateSize > regionMaxBytes;
    if ((!isLarge && region.approximateKeys <= regionMaxKeys) || isJoint(region)) return undefined;
    const size = isLarge
      ? `${mebibytes(region.approximateSize)}, ${mebibytes(regionMaxBytes)} allowed`
      : `${region.approximateKeys} keys, ${regionMaxKeys} allowed`;
    return {
      regionId: region.regionId,
      kind: "split",
      steps: [{ kind: "split", splitKey: "", childRegionId: 0, childPeerIds: [] }],
      origin: "checker",
      priority: PRIORITY.normal,
      reason: `${describeRegion(region)} has ${size}: splits near the middle`,
    };
  },
};
