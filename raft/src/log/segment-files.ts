import type { Disk, DiskFile } from "@rhea/common";

const SEGMENT_NAME = /^(\d{16})\.wal$/;
const CUT_NAME = /^\d{16}-\d+\.cut$/;

/** How many copies of what recovery cut off are kept. */
const KEPT_CUTS = 8;

/** Path of a segment: 16 decimal digits, so that names sort. */
export function segmentPath(directory: string, sequence: number): string {
  return `${directory}/${digits(sequence)}.wal`;
}

/** Sequences of the segments in a directory, ascending. */
export async function listSegments(disk: Disk, directory: string): Promise<number[]> {
  const names = await disk.list(directory);
  const sequences = names.flatMap((name) => SEGMENT_NAME.exec(name)?.[1] ?? []).map(Number);
  return sequences.sort((a, b) => a - b);
}

/** Makes a segment that has only a head. Durable, with its name, when it resolves. */
export async function createSegmentFile(disk: Disk, directory: string, path: string, head: Buffer): Promise<DiskFile> {
  const file = await disk.open(path, { create: true, exclusive: true });
  try {
    await file.write(0, [head]);
    await file.datasync();
    await disk.syncDir(directory);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Keeps a durable copy of what is about to be cut from a segment at `offset`; drops the oldest copies. Returns its path. */
export async function keepCut(
  disk: Disk,
  directory: string,
  sequence: number,
  offset: number,
  bytes: Buffer,
): Promise<string> {
  const old = (await disk.list(directory)).filter((name) => CUT_NAME.test(name)).sort();
  for (const name of old.slice(0, Math.max(0, old.length - KEPT_CUTS + 1))) await disk.remove(`${directory}/${name}`);
  const path = `${directory}/${digits(sequence)}-${offset}.cut`;
  await disk.remove(path);
  const file = await disk.open(path, { create: true });
  try {
    await file.write(0, [bytes]);
    await file.datasync();
  } finally {
    await file.close();
  }
  await disk.syncDir(directory);
  return path;
}

function digits(sequence: number): string {
  return String(sequence).padStart(16, "0");
}
