/** Reads all regions' records from the engine at open. */
import { RheaError } from "@rhea/common";
import { REGION_RANGE, applyStateKey, clientIdOfKey, sessionRange } from "../format/keys.js";
import { decodeApplyState, decodeRegionRecord } from "../format/region-record.js";
import { decodeSession } from "../format/session-record.js";
import type { KvEngine } from "../kv/engine.js";
import type { StoredRegion } from "../region/region.js";
import { SessionTable } from "../region/session-table.js";

/** Loads every region. Throws CORRUPTION where a record is damaged or has no apply state. */
export async function loadRegions(kv: KvEngine): Promise<StoredRegion[]> {
  const regions: StoredRegion[] = [];
  const iterator = kv.iterate(REGION_RANGE);
  try {
    for (let rows = await iterator.next(500); rows.length > 0; rows = await iterator.next(500)) {
      for (const { value } of rows) {
        const record = decodeRegionRecord(value);
        const { regionId } = record.descriptor;
        const applied = kv.get(applyStateKey(regionId));
        if (applied === undefined)
          throw new RheaError("CORRUPTION", `region ${regionId}: no apply state in the key-value engine`);
        regions.push({ record, applied: decodeApplyState(applied), sessions: await loadSessions(kv, regionId) });
      }
    }
  } finally {
    await iterator.close();
  }
  return regions;
}

async function loadSessions(kv: KvEngine, regionId: number): Promise<SessionTable> {
  const sessions = new SessionTable();
  const iterator = kv.iterate(sessionRange(regionId));
  try {
    for (let rows = await iterator.next(500); rows.length > 0; rows = await iterator.next(500)) {
      for (const { key, value } of rows) sessions.load(clientIdOfKey(key), decodeSession(value));
    }
  } finally {
    await iterator.close();
  }
  return sessions;
}
