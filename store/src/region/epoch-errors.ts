/** The errors of a request that speaks of a region as it no longer is; they carry the regions as they are. */
import { RheaError, fromLatin1 } from "@rhea/common";
import { descriptorToDetail, type Epoch } from "../format/descriptor.js";
import type { Region } from "./region.js";

/** EPOCH_NOT_MATCH with the region and, for what it lost by a split, its neighbours on this store. `keys`: Latin-1. */
export function epochError(region: Region, asked: Epoch, keys: readonly string[]): RheaError {
  const { confVer, version } = region.descriptor.epoch;
  return new RheaError(
    "EPOCH_NOT_MATCH",
    `region ${region.regionId}: epoch (${asked.confVer},${asked.version}) does not match (${confVer},${version}): refresh the route and retry`,
    { details: { regionId: region.regionId, currentRegions: currentRegions(region, keys) } },
  );
}

/** KEY_NOT_IN_REGION with the regions that hold `keys` here. */
export function keyError(region: Region, key: string): RheaError {
  return new RheaError(
    "KEY_NOT_IN_REGION",
    `key ${fromLatin1(key.slice(0, 32)).toString("hex")} is not in region ${region.regionId}: refresh the route and retry`,
    { details: { regionId: region.regionId, currentRegions: currentRegions(region, [key]) } },
  );
}

/** NOT_LEADER with the leader as far as known. */
export function notLeaderError(region: Region): RheaError {
  // A peer in error may still think that it leads: it is no hint for its clients.
  const leader = region.leader?.peerId === region.peerId ? undefined : region.leader;
  const address = leader === undefined ? undefined : region.context.resolveStore(leader.storeId);
  return new RheaError(
    "NOT_LEADER",
    `region ${region.regionId}: the peer on store ${region.context.storeId} does not lead`,
    {
      details: {
        regionId: region.regionId,
        ...(leader === undefined ? {} : { leader: { ...leader, ...(address === undefined ? {} : { address }) } }),
      },
    },
  );
}

function currentRegions(region: Region, keys: readonly string[]): ReturnType<typeof descriptorToDetail>[] {
  const found = new Set<Region>([region]);
  for (const key of keys) {
    const holder = region.context.ranges.find(key);
    if (holder?.state === "live") found.add(holder);
  }
  // A split leaves the child right behind its parent: one more hop saves the client a lookup.
  if (region.descriptor.end !== "") {
    const next = region.context.ranges.find(region.descriptor.end);
    if (next?.state === "live") found.add(next);
  }
  return [...found].map((holder) => descriptorToDetail(holder.descriptor));
}
