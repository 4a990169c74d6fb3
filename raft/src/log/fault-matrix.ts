/**
 * What can happen to the bytes of a log, as a table: classes of byte positions x faults x places, and a log to try them on. The test beside this
 * file runs all of it; docs/design/0005-log-faults.md holds the outcomes.
 */
import assert from "node:assert/strict";
import { viewOf } from "./byte-io.js";
import { markPath } from "./durable-mark.js";
import { findFrameHeaders, frameEnd, FRAME_HEADER_BYTES, readLists, type FrameHeader } from "./frame-codec.js";
import { recordBytesAt } from "./record-codec.js";
import { HEAD_BYTES, readSegmentHead } from "./segment-head.js";
import { listSegments } from "./segment-files.js";
import { TestDisk } from "./test-disk.js";
import { created, DIRECTORY, dumpLog, entries, flipBit, hardState, openTestLog, segmentFile } from "./test-log.js";

/** Groups of the log; none is in all frames. */
export const GROUPS = [1, 2, 3, 4];

/** About ten frames. */
export const SEGMENT_BYTES = 8000;

/** A damaged disk's unit. */
const BLOCK_BYTES = 512;

/** A log on its disk after a process has ended, and what it must be. */
export interface World {
  readonly name: "closed" | "crashed" | "crashed twice";
  readonly disk: TestDisk;
  /** Sequences of its segments, oldest first. */
  readonly segments: readonly number[];
  /** What the log was when everything acknowledged and nothing else was in it, and then with each frame that was in flight. */
  readonly states: readonly unknown[][];
  /** Sequences of the frames that were in flight. */
  readonly inFlight: readonly number[];
  /** A segment that was purged before. */
  readonly purged: { readonly sequence: number; readonly bytes: Buffer };
  /** The newest segment as it was some frames earlier. */
  readonly earlier: Buffer;
}

/** One entry's record is 128 bytes: blocks that are misplaced begin with whole records. */
const ENTRY_DATA_BYTES = 96;

/**
 * Makes a log of several segments of which the oldest is purged. Frame i is of two groups. `closed`: the process closed it; `crashed`: it died
 * with two frames in flight, both written; `crashed twice`: the next process died before it wrote a frame.
 */
export async function makeWorld(name: World["name"]): Promise<World> {
  const disk = new TestDisk();
  const { log } = await openTestLog(disk, { segmentBytes: SEGMENT_BYTES });
  await log.append(GROUPS.map((groupId) => created(groupId)));
  let frame = 0;
  const append = (): Promise<void> => {
    const pair = [GROUPS[frame % 4] ?? 1, GROUPS[(frame + 1) % 4] ?? 2];
    frame++;
    return log.append(
      pair.flatMap((groupId) => {
        const last = log.group(groupId)?.lastIndex ?? 0;
        return [
          entries(groupId, last + 1, last + 2, 1, ENTRY_DATA_BYTES),
          hardState(groupId, frame, groupId * 10, last),
        ];
      }),
    );
  };
  const segmentCount = async (): Promise<number> => (await listSegments(disk, DIRECTORY)).length;
  while ((await segmentCount()) < 2) await append();
  const purged = { sequence: 1, bytes: Buffer.from(disk.content(segmentFile(1))) };
  await log.append(
    GROUPS.map((groupId) => ({ kind: "truncate", groupId, index: log.group(groupId)?.lastIndex ?? 0, term: 1 })),
  );
  // The truncation lets the first one go.
  while (!disk.files.has(segmentFile(4))) await append();
  for (let i = 0; i < 3; i++) await append();
  const newest = segmentFile(4);
  const earlier = Buffer.from(disk.content(newest));
  for (let i = 0; i < 3; i++) await append();
  await settle();
  const states = [dumpLog(log)];
  const inFlight: number[] = [];
  if (name === "closed") await log.close();
  if (name === "crashed") {
    disk.intercept = (call) => (call === "datasync" ? new Promise(() => undefined) : undefined);
    for (let i = 0; i < 2; i++) {
      void append();
      await settle();
      states.push(dumpLog(log));
      inFlight.push(framesOf(disk, newest).at(-1)?.sequence ?? 0);
    }
  }
  assert.equal(await segmentCount(), 3, "the newest segment must not be full");
  const left = disk.clone();
  if (name === "crashed twice") await openTestLog(left, { segmentBytes: SEGMENT_BYTES });
  return { name, disk: left.clone(), segments: await listSegments(left, DIRECTORY), states, inFlight, purged, earlier };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 100; i++) await Promise.resolve();
}

/** All frames of a healthy segment. */
export function framesOf(disk: TestDisk, path: string): FrameHeader[] {
  const bytes = disk.content(path);
  const reading = readSegmentHead(bytes, path);
  assert.ok(reading.state !== "bad");
  return findFrameHeaders(bytes, reading.bytes, reading.salt);
}

/** Groups that have a record in a frame. */
export function groupsOf(disk: TestDisk, path: string, frame: FrameHeader): number[] {
  const bytes = disk.content(path);
  const reading = readSegmentHead(bytes, path);
  assert.ok(reading.state !== "bad");
  return (readLists(bytes, frame, reading.salt) ?? []).map(({ groupId }) => groupId);
}

/** Some bytes of a file that have one meaning. */
export interface Target {
  readonly what: string;
  readonly path: string;
  readonly start: number;
  readonly end: number;
}

/** The classes of bytes of a segment's head. */
export function headTargets(disk: TestDisk, path: string): Target[] {
  const reading = readSegmentHead(disk.content(path), path);
  assert.ok(reading.state === "good");
  return [
    { what: "segment head", path, start: 0, end: 56 },
    { what: "segment head: CRCs", path, start: 56, end: HEAD_BYTES },
    { what: "segment head: table", path, start: HEAD_BYTES, end: reading.bytes },
  ];
}

/** The classes of bytes of a frame; of its records the first, which is an entry, and the last, which is a hard state. */
export function frameTargets(disk: TestDisk, path: string, frame: FrameHeader): Target[] {
  const { offset, listBytes } = frame;
  const end = frameEnd(frame);
  const lists = end - 2 * listBytes;
  const at = (what: string, start: number, stop: number): Target => ({ what, path, start, end: stop });
  const targets = [
    at("frame header: magic, version", offset, offset + 8),
    at("frame header: sequences", offset + 8, offset + 24),
    at("frame header: offset, salt", offset + 24, offset + 32),
    at("frame header: lengths", offset + 32, offset + 40),
    at("frame header: CRCs", offset + 40, offset + FRAME_HEADER_BYTES),
  ];
  const view = viewOf(disk.content(path));
  const records: number[] = [];
  for (let record = offset + FRAME_HEADER_BYTES; record < lists; record += recordBytesAt(view, record)) {
    records.push(record);
  }
  for (const record of new Set([records[0], records.at(-1)])) {
    if (record === undefined) continue;
    const stop = record + recordBytesAt(view, record);
    targets.push(at("record: CRC", record, record + 4), at("record: length", record + 4, record + 8));
    targets.push(at("record: group, kind", record + 8, record + 16));
    if (stop > record + 16) targets.push(at("record: payload", record + 16, stop));
  }
  targets.push(at("first group list", lists, lists + listBytes), at("second group list", lists + listBytes, end));
  return targets;
}

/** What happens to a target. Returns undefined where it cannot happen there. */
export interface Fault {
  readonly what: string;
  /** Changes the disk, each variant a disk of its own. */
  variants(world: World, target: Target): Generator<TestDisk>;
}

function* each(world: World, changes: readonly ((disk: TestDisk) => void)[]): Generator<TestDisk> {
  for (const change of changes) {
    const disk = world.disk.clone();
    change(disk);
    yield disk;
  }
}

/** Overwrites the blocks that hold a target by blocks of `from`, moved by `distance` bytes. */
function copyBlocks(disk: TestDisk, { path, start }: Target, from: Buffer, distance: number, blockBytes: number): void {
  const bytes = Buffer.from(disk.content(path));
  const at = Math.floor(start / blockBytes) * blockBytes;
  const source = at + distance;
  if (source < 0 || source >= from.length) return;
  from.copy(bytes, at, source, Math.min(source + blockBytes, from.length));
  disk.put(path, bytes);
}

/** The faults of single places. */
export const FAULTS: readonly Fault[] = [
  {
    what: "flip",
    *variants(world, { path, start, end }) {
      for (let at = start; at < end; at += Math.max(1, Math.floor((end - start) / 2))) {
        yield* each(world, [(disk) => flipBit(disk, path, at)]);
      }
    },
  },
  {
    what: "zero",
    *variants(world, { path, start, end }) {
      const block = Math.floor(start / BLOCK_BYTES) * BLOCK_BYTES;
      for (const [from, to] of [
        [start, end],
        [block, block + BLOCK_BYTES],
      ] as const) {
        yield* each(world, [
          (disk) =>
            disk.put(
              path,
              Buffer.from(disk.content(path)).fill(0, from, Math.min(to, world.disk.content(path).length)),
            ),
        ]);
      }
    },
  },
  {
    what: "truncate",
    *variants(world, { path, start, end }) {
      for (const at of [start, Math.floor((start + end) / 2)]) {
        yield* each(world, [(disk) => disk.put(path, disk.content(path).subarray(0, at))]);
      }
    },
  },
  {
    what: "zero to the end",
    *variants(world, { path, start }) {
      yield* each(world, [(disk) => disk.put(path, Buffer.from(disk.content(path)).fill(0, start))]);
    },
  },
  {
    what: "duplicate block",
    *variants(world, target) {
      const bytes = world.disk.content(target.path);
      for (const blockBytes of [BLOCK_BYTES, 128]) {
        for (const distance of [-2, -1, 1]) {
          yield* each(world, [(disk) => copyBlocks(disk, target, bytes, distance * blockBytes, blockBytes)]);
        }
      }
      // An entry's record over that of the next entry.
      yield* each(world, [
        (disk) => {
          const copy = Buffer.from(bytes);
          if (target.start + 256 > bytes.length) return;
          bytes.copy(copy, target.start + 128, target.start, target.start + 128);
          disk.put(target.path, copy);
        },
      ]);
    },
  },
  {
    what: "stale block",
    *variants(world, target) {
      const others = [...world.segments.map(segmentFile).filter((path) => path !== target.path)];
      const contents = [...others.map((path) => world.disk.content(path)), world.purged.bytes];
      yield* each(
        world,
        contents.map((from) => (disk: TestDisk) => copyBlocks(disk, target, from, 0, BLOCK_BYTES)),
      );
    },
  },
];

/** A fault of a whole file. */
export interface FileFault {
  readonly what: string;
  /** Undefined: it cannot happen to this file. */
  apply(world: World, disk: TestDisk, sequence: number): void;
}

/** The faults of whole segments. */
export const SEGMENT_FAULTS: readonly FileFault[] = [
  { what: "deleted", apply: (_world, disk, sequence) => void disk.files.delete(segmentFile(sequence)) },
  { what: "empty", apply: (_world, disk, sequence) => disk.put(segmentFile(sequence), Buffer.alloc(0)) },
  {
    what: "a purged segment in its place",
    apply: (world, disk, sequence) => disk.put(segmentFile(sequence), world.purged.bytes),
  },
  {
    what: "its neighbour in its place",
    apply: (world, disk, sequence) => {
      const other = sequence === world.segments[0] ? sequence + 1 : sequence - 1;
      disk.put(segmentFile(sequence), world.disk.content(segmentFile(other)));
    },
  },
  {
    what: "an earlier state of it",
    apply: (world, disk, sequence) => {
      const bytes = world.disk.content(segmentFile(sequence));
      const wasNewest = sequence === 4;
      const frames = framesOf(world.disk, segmentFile(sequence));
      const middle = frames[Math.floor(frames.length / 2)]?.offset ?? Math.floor(bytes.length / 2);
      disk.put(segmentFile(sequence), wasNewest ? world.earlier : bytes.subarray(0, middle));
    },
  },
  {
    what: "zeros behind its end",
    apply: (_world, disk, sequence) => {
      const path = segmentFile(sequence);
      disk.put(path, Buffer.concat([disk.content(path), Buffer.alloc(5000)]));
    },
  },
  {
    what: "a stale block behind its end",
    apply: (world, disk, sequence) => {
      const path = segmentFile(sequence);
      disk.put(path, Buffer.concat([disk.content(path), world.purged.bytes.subarray(-BLOCK_BYTES)]));
    },
  },
  {
    what: "its own last block once more behind its end",
    apply: (_world, disk, sequence) => {
      const path = segmentFile(sequence);
      disk.put(path, Buffer.concat([disk.content(path), disk.content(path).subarray(-BLOCK_BYTES)]));
    },
  },
];

/** The faults of the whole directory. */
export const DIRECTORY_FAULTS: readonly { what: string; apply(world: World, disk: TestDisk): void }[] = [
  {
    what: "a purged segment comes back",
    apply: ({ purged }, disk) => disk.put(segmentFile(purged.sequence), purged.bytes),
  },
  { what: "the durable mark is deleted", apply: (_world, disk) => void disk.files.delete(markPath(DIRECTORY)) },
  { what: "the durable mark is zeros", apply: (_world, disk) => disk.put(markPath(DIRECTORY), Buffer.alloc(1024)) },
  { what: "the durable mark is empty", apply: (_world, disk) => disk.put(markPath(DIRECTORY), Buffer.alloc(0)) },
  { what: "a bit of the durable mark flips", apply: (_world, disk) => flipBit(disk, markPath(DIRECTORY), 40) },
  {
    what: "all segments are deleted",
    apply: ({ segments }, disk) => segments.forEach((sequence) => void disk.files.delete(segmentFile(sequence))),
  },
];
