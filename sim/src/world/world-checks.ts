/** Checks over all stores at once: ranges, epochs, convergence. */
import { crc32, InvariantError } from "@rhea/common";
import type { SimStore } from "./sim-store.js";

/** Checks every live store: its regions do not overlap; regions with equal epochs are equal on all stores. Throws InvariantError. */
export function checkWorld(stores: readonly SimStore[]): void {
  const byEpoch = new Map<string, string>();
  for (const { storeId, engine } of stores) {
    if (engine === undefined) continue;
    let end = "";
    let endedBy = 0;
    for (const region of engine.regions()) {
      if (region.state !== "live") continue;
      const { descriptor } = region;
      const start = descriptor.start;
      if (endedBy !== 0 && (end === "" || start < end)) {
        throw new InvariantError(
          `store ${storeId}: regions ${endedBy} and ${region.regionId} overlap at ${JSON.stringify(start)}`,
        );
      }
      end = descriptor.end;
      endedBy = region.regionId;
      const key = `${region.regionId}@${descriptor.epoch.confVer},${descriptor.epoch.version}`;
      const shape = `${start}..${end}:${descriptor.peers
        .map((peer) => `${peer.peerId}/${peer.storeId}/${peer.role}`)
        .toSorted()
        .join(",")}`;
      const known = byEpoch.get(key);
      if (known !== undefined && known !== shape)
        throw new InvariantError(`region ${key} is both ${known} and ${shape}`);
      byEpoch.set(key, shape);
    }
  }
}

/** Whether the healed world stands still and agrees byte for byte: empty if so, else what is missing. */
export function isConverged(stores: readonly SimStore[]): string {
  const down = stores.find((store) => store.engine === undefined);
  if (down !== undefined) return `store ${down.storeId} is not up`;
  const leaders = new Map<
    number,
    { storeId: number; index: number; peers: readonly { peerId: number; storeId: number }[] }
  >();
  for (const { storeId, engine } of stores) {
    for (const region of engine?.regions() ?? []) {
      if (region.isLeader)
        leaders.set(region.regionId, { storeId, index: region.appliedIndex, peers: region.descriptor.peers });
    }
  }
  if (leaders.size === 0) return "no region has a leader";
  let reach = "";
  const ranges = [...leaders].map(([regionId, leader]) => {
    const region = stores[leader.storeId - 1]?.engine?.region(regionId);
    return region === undefined
      ? { start: "?", end: "?" }
      : { start: region.descriptor.start, end: region.descriptor.end };
  });
  ranges.sort((a, b) => (a.start < b.start ? -1 : 1));
  for (const [i, range] of ranges.entries()) {
    if (range.start !== reach || (i > 0 && reach === ""))
      return `led regions do not tile the keyspace at ${JSON.stringify(reach)}`;
    reach = range.end;
  }
  if (reach !== "") return `no leader for keys from ${JSON.stringify(reach)} on`;
  for (const [regionId, leader] of leaders) {
    for (const peer of leader.peers) {
      const region = stores[peer.storeId - 1]?.engine?.region(regionId);
      if (region === undefined) return `region ${regionId}: store ${peer.storeId} has no peer`;
      if (region.state !== "live") return `region ${regionId}: peer on store ${peer.storeId} is ${region.state}`;
      if (region.appliedIndex !== leader.index)
        return `region ${regionId}: store ${peer.storeId} applied ${region.appliedIndex} of ${leader.index}`;
    }
  }
  return "";
}

/** Compares the data of every region on all its peers, byte for byte. Call when {@link isConverged} says so. Throws InvariantError. */
export async function compareReplicas(stores: readonly SimStore[]): Promise<void> {
  const seen = new Map<number, { storeId: number; crc: number }>();
  const members = new Set<string>();
  for (const { engine } of stores) {
    for (const region of engine?.regions() ?? []) {
      if (region.isLeader) for (const peer of region.descriptor.peers) members.add(`${region.regionId}/${peer.peerId}`);
    }
  }
  for (const { storeId, engine } of stores) {
    for (const region of engine?.regions() ?? []) {
      // A removed peer that was cut off keeps its old state until PD tells it.
      if (!members.has(`${region.regionId}/${region.peerId}`)) continue;
      const rows = await region.scanLocal(Buffer.alloc(0), Buffer.alloc(0), 100_000);
      let crc = 0;
      for (const { key, value } of rows) crc = crc32(value, crc32(key, crc));
      const known = seen.get(region.regionId);
      if (known !== undefined && known.crc !== crc) {
        throw new InvariantError(
          `region ${region.regionId}: stores ${known.storeId} and ${storeId} differ at index ${region.appliedIndex}`,
        );
      }
      seen.set(region.regionId, { storeId, crc });
    }
  }
}
