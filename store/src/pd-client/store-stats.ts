/** A store's figures for PD, all measured. */
import type { Clock, Disk } from "@rhea/common";
import type { StoreStatsInit } from "@rhea/proto";
import type { StoreEngineCore } from "../engine/store-engine.js";

/** Makes the function that measures a store; its counters cover the time since the call before. */
export function createStoreMeasure(options: {
  readonly engine: StoreEngineCore;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly dataDirectory: string;
}): () => Promise<StoreStatsInit> {
  const { engine, disk, clock, dataDirectory } = options;
  const startTime = Math.floor(clock.wallMs());
  let intervalStart = startTime;
  let last = engine.totals();
  return async () => {
    const space = await disk.space(dataDirectory);
    const host = engine.host.stats();
    const totals = engine.totals();
    const intervalEnd = Math.floor(clock.wallMs());
    const stats: StoreStatsInit = {
      storeId: engine.storeId,
      capacity: space.totalBytes,
      available: space.freeBytes,
      regionCount: engine.regions().length,
      leaderRegionCount: host.leaders,
      sendingSnapCount: host.sendingSnapshots,
      receivingSnapCount: host.receivingSnapshots,
      applyingSnapCount: host.applyingSnapshots,
      startTime,
      isBusy: engine.isBusy,
      usedSize: totals.approximateSize + engine.logStats().fileBytes,
      bytesWritten: totals.bytesWritten - last.bytesWritten,
      bytesRead: totals.bytesRead - last.bytesRead,
      keysWritten: totals.keysWritten - last.keysWritten,
      keysRead: totals.keysRead - last.keysRead,
      intervalStart,
      intervalEnd,
      faults: engine
        .faults()
        .map(({ regionId, peerId, error }) => ({ regionId, peerId, code: error.code, message: error.message })),
    };
    last = totals;
    intervalStart = intervalEnd;
    return stats;
  };
}
