/** Replaces a region's state by a received snapshot. May be called again after a crash in between: every step can be repeated. */
import { RheaError, crc32, readWholeFile, type DiskFile } from "@rhea/common";
import type { SavedSnapshot, SnapshotFiles } from "@rhea/raft";
import { createPacer } from "../engine/pacer.js";
import type { RegionDescriptor } from "../format/descriptor.js";
import { USER_NAMESPACES, applyStateKey, namespaceRange, regionKey, sessionKey, sessionRange } from "../format/keys.js";
import { encodeApplyState, encodeRegionRecord, type RegionRecord } from "../format/region-record.js";
import { decodeSession } from "../format/session-record.js";
import { JOURNAL_HEADER_BYTES, decodeFrame, frameLength, type JournalOperation } from "../kv/journal.js";
import type { Region } from "./region.js";
import { SessionTable } from "./session-table.js";
import {
  SESSION_PREFIX,
  SNAPSHOT_FILES,
  decodeManifest,
  snapshotDamaged,
  type SnapshotManifest,
} from "./snapshot-format.js";

/** Loads the staged files; resolves when the new state is durable in the engine. Throws CORRUPTION before anything was changed. */
export async function loadSnapshot(region: Region, files: SnapshotFiles, saved: SavedSnapshot): Promise<void> {
  const { context, regionId } = region;
  const { disk } = context.env;
  const manifest = decodeManifest(await readWholeFile(disk, `${files.directory}/${SNAPSHOT_FILES.manifest}`));
  if (manifest.descriptor.regionId !== regionId || manifest.applied.index !== saved.index) {
    throw snapshotDamaged(
      regionId,
      SNAPSHOT_FILES.manifest,
      `it is of region ${manifest.descriptor.regionId} at ${manifest.applied.index}, expected ${regionId} at ${saved.index}`,
    );
  }
  refuseOverlap(region, manifest.descriptor);
  const file = await disk.open(`${files.directory}/${SNAPSHOT_FILES.data}`, { create: false });
  try {
    await checkData(region, manifest, file);
    if (region.state === "destroyed") {
      throw new RheaError("REGION_NOT_FOUND", `region ${regionId} left store ${context.storeId} before its snapshot`);
    }
    // From here on whoever destroys the region waits for the end, and clears what came.
    await region.runExclusive(async () => {
      const sessions = await ingest(region, manifest, file);
      const record: RegionRecord = {
        descriptor: manifest.descriptor,
        peerId: region.peerId,
        confState: manifest.confState,
        logStarted: true,
        awaitingSnapshot: false,
      };
      const batch = context.kv.batch();
      batch.put(regionKey(regionId), encodeRegionRecord(record));
      batch.put(applyStateKey(regionId), encodeApplyState(manifest.applied));
      await context.kv.write(batch);
      region.replaceState({ record, applied: manifest.applied, sessions });
      context.ranges.add(region);
    });
  } finally {
    await file.close();
  }
  context.onChanged(region);
}

/** A snapshot never lands on another region's range: that one has to shrink or go first. */
function refuseOverlap(region: Region, descriptor: RegionDescriptor): void {
  const other = region.context.ranges.overlapping(descriptor).find((holder) => holder !== region);
  if (other === undefined) return;
  throw new RheaError(
    "OPERATION_REFUSED",
    `region ${region.regionId}: its snapshot overlaps region ${other.regionId} on this store, which must be destroyed or split first`,
    { details: { regionId: region.regionId } },
  );
}

async function checkData(region: Region, manifest: SnapshotManifest, file: DiskFile): Promise<void> {
  let hash = 0;
  const size = await file.size();
  for (let at = 0; at < size;) {
    const chunk = await file.read(at, 1 << 20);
    hash = crc32(chunk, hash);
    at += chunk.length;
  }
  if (size !== manifest.bytes || hash !== manifest.hash) {
    throw snapshotDamaged(
      region.regionId,
      SNAPSHOT_FILES.data,
      `${size} bytes with hash ${hash}, expected ${manifest.bytes} with ${manifest.hash}`,
    );
  }
}

async function ingest(region: Region, manifest: SnapshotManifest, file: DiskFile): Promise<SessionTable> {
  const { context, regionId } = region;
  const { kv } = context;
  await context.finishPendingClears(manifest.descriptor);
  // The old range goes completely, unless it was only claimed: then it never held anything of this region.
  const ranges = region.state === "live" ? [region.descriptor, manifest.descriptor] : [manifest.descriptor];
  for (const { start, end } of ranges) {
    for (const namespace of USER_NAMESPACES) {
      const range = namespaceRange(namespace, start, end);
      await kv.clearRange(range.start, range.end);
    }
  }
  const oldSessions = sessionRange(regionId);
  await kv.clearRange(oldSessions.start, oldSessions.end);
  const sessions = new SessionTable();
  const pace = createPacer(context.env.clock, context.env.scheduler);
  for await (const operations of frames(region, manifest, file)) {
    const batch = kv.batch();
    for (const { key, value } of operations) {
      if (value === undefined) continue;
      if (key.startsWith(SESSION_PREFIX)) {
        const clientId = key.slice(SESSION_PREFIX.length);
        sessions.load(clientId, decodeSession(value));
        batch.put(sessionKey(regionId, clientId), value);
      } else {
        batch.put(key, value);
      }
    }
    await kv.write(batch);
    await pace();
  }
  return sessions;
}

async function* frames(region: Region, manifest: SnapshotManifest, file: DiskFile): AsyncGenerator<JournalOperation[]> {
  let at = 0;
  for (let n = 1; n <= manifest.frames; n++) {
    const header = await file.read(at, JOURNAL_HEADER_BYTES);
    const length = frameLength(header);
    const frame = length === undefined ? undefined : decodeFrame(await file.read(at, length), 0);
    if (frame?.sequence !== n)
      throw snapshotDamaged(region.regionId, SNAPSHOT_FILES.data, `frame ${n} at byte ${at} is damaged`);
    yield frame.operations;
    at += frame.next;
  }
}
