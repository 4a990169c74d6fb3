/** Writes a region's state as a snapshot: all of it read from one engine snapshot, without the overlay. */
import { InvariantError, RheaError, crc32, type DiskFile } from "@rhea/common";
import { PeerRole } from "@rhea/proto";
import type { SavedSnapshot } from "@rhea/raft";
import { createPacer } from "../engine/pacer.js";
import {
  USER_NAMESPACES,
  applyStateKey,
  clientIdOfKey,
  namespaceRange,
  regionKey,
  sessionRange,
} from "../format/keys.js";
import { decodeApplyState, decodeRegionRecord } from "../format/region-record.js";
import type { KvEntry, KvSnapshot } from "../kv/engine.js";
import { encodeFrame } from "../kv/journal.js";
import type { Region } from "./region.js";
import { SESSION_PREFIX, SNAPSHOT_FILES, encodeManifest } from "./snapshot-format.js";

/** Rows asked of the engine at a time, and bytes of a frame. */
const SLICE_ROWS = 512;
const FRAME_BYTES = 512 << 10;

/** Saves into `directory`, fsynced. What is applied at the call is in it. */
export async function saveSnapshot(region: Region, directory: string): Promise<SavedSnapshot> {
  const { context, regionId } = region;
  while (region.exclusive !== undefined) await region.exclusive;
  if (region.state !== "live") throw new RheaError("REGION_NOT_FOUND", `region ${regionId} has no state to send`);
  await context.overlay.flush();
  const snapshot = context.kv.snapshot();
  try {
    const recordBytes = snapshot.get(regionKey(regionId));
    const appliedBytes = snapshot.get(applyStateKey(regionId));
    if (recordBytes === undefined || appliedBytes === undefined) {
      throw new InvariantError(`region ${regionId}: no records in the engine after a flush`);
    }
    const record = decodeRegionRecord(recordBytes);
    const applied = decodeApplyState(appliedBytes);
    const { disk } = context.env;
    const data = await writeFile(region, `${directory}/${SNAPSHOT_FILES.data}`, (file) =>
      writeRows(region, snapshot, record, file),
    );
    const manifest = { descriptor: record.descriptor, confState: record.confState, applied, ...data };
    await writeFile(region, `${directory}/${SNAPSHOT_FILES.manifest}`, (file) =>
      file.write(0, [encodeManifest(manifest)]),
    );
    await disk.syncDir(directory);
    return {
      index: applied.index,
      term: applied.term,
      confState: record.confState,
      peers: record.descriptor.peers.map(({ peerId, storeId, role }) => ({
        peerId,
        storeId,
        role: role === PeerRole.LEARNER ? "learner" : "voter",
      })),
      names: [SNAPSHOT_FILES.manifest, SNAPSHOT_FILES.data],
    };
  } finally {
    await snapshot.close();
  }
}

async function writeFile<T>(region: Region, path: string, write: (file: DiskFile) => Promise<T>): Promise<T> {
  const { disk } = region.context.env;
  await disk.remove(path);
  const file = await disk.open(path, { create: true, exclusive: true });
  try {
    const result = await write(file);
    await file.datasync();
    return result;
  } finally {
    await file.close();
  }
}

async function writeRows(
  region: Region,
  snapshot: KvSnapshot,
  record: ReturnType<typeof decodeRegionRecord>,
  file: DiskFile,
): Promise<{ frames: number; bytes: number; hash: number }> {
  const { clock, scheduler } = region.context.env;
  const pace = createPacer(clock, scheduler);
  const written = { frames: 0, bytes: 0, hash: 0 };
  let rows: KvEntry[] = [];
  let rowBytes = 0;
  const writeFrame = async (): Promise<void> => {
    if (rows.length === 0) return;
    const frame = encodeFrame(++written.frames, rows);
    await file.write(written.bytes, [frame]);
    written.bytes += frame.length;
    written.hash = crc32(frame, written.hash);
    rows = [];
    rowBytes = 0;
  };
  const walk = async (range: { start: string; end: string }, rename: (key: string) => string): Promise<void> => {
    const iterator = snapshot.iterate(range);
    try {
      for (let slice = await iterator.next(SLICE_ROWS); slice.length > 0; slice = await iterator.next(SLICE_ROWS)) {
        for (const { key, value } of slice) {
          rows.push({ key: rename(key), value });
          rowBytes += key.length + value.length;
          if (rowBytes >= FRAME_BYTES) await writeFrame();
        }
        await pace();
      }
    } finally {
      await iterator.close();
    }
  };
  const { start, end } = record.descriptor;
  for (const namespace of USER_NAMESPACES) await walk(namespaceRange(namespace, start, end), (key) => key);
  await walk(sessionRange(region.regionId), (key) => SESSION_PREFIX + clientIdOfKey(key));
  await writeFrame();
  return written;
}
