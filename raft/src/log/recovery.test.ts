import assert from "node:assert/strict";
import type { RaftLog } from "./api.js";
import { viewOf } from "./byte-io.js";
import { markPath } from "./durable-mark.js";
import { findFrameHeaders, frameEnd, type FrameHeader } from "./frame-codec.js";
import { readSegmentHead, segmentSalt } from "./segment-head.js";
import { TestDisk } from "./test-disk.js";
import {
  created,
  DIRECTORY,
  dumpGroup,
  dumpLog,
  entries,
  flipBit,
  forgetDurableSince,
  hardState,
  openTestLog,
  segmentFile,
} from "./test-log.js";

/** Frames of a segment, in order. */
function framesOf(disk: TestDisk, sequence: number): FrameHeader[] {
  const bytes = disk.content(segmentFile(sequence));
  const reading = readSegmentHead(bytes, "test");
  assert.ok(reading.state === "good");
  const { head } = reading;
  return findFrameHeaders(bytes, reading.bytes, segmentSalt(head.logId, head.sequence));
}

function frameAt(disk: TestDisk, segment: number, i: number): FrameHeader {
  const frame = framesOf(disk, segment).at(i);
  assert.ok(frame);
  return frame;
}

function cutFile(disk: TestDisk, path: string, length: number): void {
  disk.put(path, disk.content(path).subarray(0, length));
}

function lifecycles(log: RaftLog): Record<number, string> {
  return Object.fromEntries([...log.groups()].map((group) => [group.groupId, group.lifecycle.state]));
}

function reasonOf(log: RaftLog, groupId: number): string {
  const lifecycle = log.group(groupId)?.lifecycle;
  return lifecycle?.state === "condemned" ? lifecycle.reason : "";
}

/**
 * A crashed log of one segment with frames: 1 creates groups 1, 2, 3; 2 has entries of 1 and 2; 3 of group 3 only; then of each group once more
 * (4: group 1, 5: group 2, 6: group 3). Each frame was durable before the next was written.
 */
async function sixFrames(overrides: { segmentBytes?: number } = {}): Promise<TestDisk> {
  const disk = new TestDisk();
  const { log } = await openTestLog(disk, overrides);
  await log.append([created(1), created(2), created(3)]);
  await log.append([entries(1, 1, 2), entries(2, 1, 2), hardState(2, 5, 20, 1)]);
  await log.append([entries(3, 1, 3), hardState(3, 9, 30, 2)]);
  for (const groupId of [1, 2, 3]) await log.append([entries(groupId, groupId === 3 ? 4 : 3, 4)]);
  return disk.clone();
}

describe("recovery after a crash", () => {
  it("keeps every acknowledged frame, wherever the last write broke off", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk);
    await log.append([created(1), entries(1, 1, 3), hardState(1, 2, 10, 1)]);
    const path = segmentFile(1);
    const acknowledged = dumpLog(log);
    const start = disk.content(path).length;
    const atAcknowledgement = disk.clone();
    await log.append([entries(1, 4, 6), created(2)]);
    const complete = dumpLog(log);
    const end = disk.content(path).length;
    for (let length = start; length <= end; length++) {
      const crashed = disk.clone();
      forgetDurableSince(crashed, atAcknowledgement);
      cutFile(crashed, path, length);
      const { log: recovered } = await openTestLog(crashed);
      assert.deepEqual(dumpLog(recovered), length === end ? complete : acknowledged, `cut at ${length}`);
      const kept = [...crashed.files.keys()].filter((name) => name.endsWith(".cut"));
      assert.equal(kept.length, length > start && length < end ? 1 : 0);
      await recovered.append([entries(1, recovered.group(1)!.lastIndex + 1, 9, 3)]);
      const { log: again } = await openTestLog(crashed.clone());
      assert.deepEqual(dumpLog(again), dumpLog(recovered));
    }
  });

  it("cuts both frames that were in flight when the first of them is torn at any byte", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk);
    await log.append([created(1), entries(1, 1, 3)]);
    const acknowledged = dumpLog(log);
    const atAcknowledgement = disk.clone();
    // Both are written before either is durable.
    let release: (() => void) | undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    disk.intercept = (call) => (call === "datasync" ? held : undefined);
    const first = log.append([entries(1, 4, 5)]);
    for (let i = 0; i < 20; i++) await Promise.resolve();
    const second = log.append([entries(1, 6, 7)]);
    for (let i = 0; i < 20; i++) await Promise.resolve();
    release?.();
    await Promise.all([first, second]);
    const torn = frameAt(disk, 1, -2);
    assert.equal(frameAt(disk, 1, -1).durable, torn.sequence - 1);
    for (let at = torn.offset; at < frameEnd(torn); at++) {
      const crashed = disk.clone();
      forgetDurableSince(crashed, atAcknowledgement);
      flipBit(crashed, segmentFile(1), at);
      const { log: recovered } = await openTestLog(crashed);
      assert.deepEqual(dumpLog(recovered), acknowledged, `flipped at ${at}`);
      assert.ok(recovered.group(1)?.lifecycle.state === "live");
      assert.equal(
        disk.content(segmentFile(1)).length - torn.offset,
        crashed.content(`${DIRECTORY}/0000000000000001-${torn.offset}.cut`).length,
      );
    }
  });

  it("treats a tail of zeros as a torn write", async () => {
    const disk = await sixFrames();
    const expected = dumpLog((await openTestLog(disk.clone())).log);
    const path = segmentFile(1);
    disk.put(path, Buffer.concat([disk.content(path), Buffer.alloc(5000)]));
    assert.deepEqual(dumpLog((await openTestLog(disk)).log), expected);
  });

  it("takes back a commit beyond what is left of the entries", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk);
    await log.append([created(1), entries(1, 1, 3), hardState(1, 1, 10, 8)]);
    assert.equal((await openTestLog(disk.clone())).log.group(1)?.hardState.commit, 3);
  });

  it("makes what it read durable before it builds on it", async () => {
    const disk = await sixFrames();
    const synced: string[] = [];
    disk.intercept = (call, path) => {
      if (call === "datasync") synced.push(path);
    };
    await openTestLog(disk);
    assert.deepEqual(synced, [segmentFile(1), segmentFile(2), markPath(DIRECTORY)]);
  });

  it("sets a newest segment aside whose head was never finished, at any byte", async () => {
    const disk = await sixFrames();
    const before = disk.clone();
    await openTestLog(disk);
    const head = disk.content(segmentFile(2));
    const expected = dumpLog((await openTestLog(disk.clone())).log);
    for (let length = 0; length < head.length; length++) {
      const crashed = disk.clone();
      forgetDurableSince(crashed, before);
      cutFile(crashed, segmentFile(2), length);
      const { log } = await openTestLog(crashed);
      assert.deepEqual(dumpLog(log), expected);
      await log.append([entries(1, 5, 5)]);
      await log.close();
      assert.equal((await openTestLog(crashed)).log.group(1)?.lastIndex, 5);
    }
  });

  it("tells which segment of how many it reads", async () => {
    const disk = await sixFrames({ segmentBytes: 64 });
    const told: string[] = [];
    await openTestLog(disk, { onRecovering: (segment, segments) => told.push(`${segment}/${segments}`) });
    const count = told.length;
    assert.ok(count > 1);
    assert.deepEqual(
      told,
      Array.from({ length: count }, (_, i) => `${i + 1}/${count}`),
    );
  });

  it("keeps at most eight copies of what was cut", async () => {
    let disk = await sixFrames();
    for (let round = 0; round < 12; round++) {
      const { log } = await openTestLog(disk);
      const before = disk.clone();
      await log.append([hardState(1, round + 1, 10, 1)]);
      disk = disk.clone();
      forgetDurableSince(disk, before);
      const newest = [...disk.files.keys()]
        .filter((name) => name.endsWith(".wal"))
        .sort()
        .at(-1)!;
      cutFile(disk, newest, disk.content(newest).length - 1);
    }
    assert.equal([...disk.files.keys()].filter((name) => name.endsWith(".cut")).length, 8);
  });
});

describe("recovery from damage", () => {
  it("condemns only groups that lost a record, and says where, whichever bit of an old frame flips", async () => {
    const disk = await sixFrames();
    const healthy = (await openTestLog(disk.clone())).log;
    const damaged = frameAt(disk, 1, 2); // group 3 only
    for (let at = damaged.offset; at < frameEnd(damaged); at++) {
      const copy = disk.clone();
      flipBit(copy, segmentFile(1), at);
      const { log } = await openTestLog(copy);
      for (const groupId of [1, 2])
        assert.deepEqual(dumpGroup(log.group(groupId)!), dumpGroup(healthy.group(groupId)!));
      const inRecords = at >= damaged.offset + 48 && at < damaged.offset + 48 + damaged.recordBytes;
      assert.equal(log.group(3)?.lifecycle.state, inRecords ? "condemned" : "live", `flipped at ${at}`);
      if (!inRecords) continue;
      assert.match(
        reasonOf(log, 3),
        new RegExp(`${segmentFile(1)} offset ${damaged.offset}: frame 3 is damaged .*remove peer 30 of group 3`),
      );
      assert.equal(log.group(3)?.liveBytes, 0);
    }
  });

  it("condemns of a frame of two groups only the one whose record is lost", async () => {
    const disk = await sixFrames();
    const bytes = disk.content(segmentFile(1));
    const second = frameAt(disk, 1, 1);
    flipBit(disk, segmentFile(1), bytes.indexOf("entry 2 of term 1", second.offset)); // the first one is group 1's
    const { log } = await openTestLog(disk);
    assert.deepEqual(lifecycles(log), { 1: "condemned", 2: "live", 3: "live" });
    assert.deepEqual(log.group(2)?.hardState, { term: 5, vote: 20, commit: 1 });
  });

  it("condemns when a later frame says that the bad one was durable, even if only one frame follows", async () => {
    const disk = await sixFrames();
    flipBit(disk, segmentFile(1), frameAt(disk, 1, -2).offset + 60);
    assert.deepEqual(lifecycles((await openTestLog(disk)).log), { 1: "live", 2: "condemned", 3: "live" });
  });

  it("cuts nothing when the end of the file shows that more than two frames were written", async () => {
    const disk = await sixFrames();
    // All headers from the third frame on are gone, and a record of each; the lists at the very end are whole.
    for (const i of [2, 3, 4, 5]) {
      const frame = frameAt(disk, 1, 2);
      assert.equal(frame.sequence, i + 1);
      flipBit(disk, segmentFile(1), frame.offset + 60);
      flipBit(disk, segmentFile(1), frame.offset + 8);
    }
    assert.deepEqual(lifecycles((await openTestLog(disk)).log), { 1: "condemned", 2: "condemned", 3: "condemned" });
  });

  it("cuts nothing after a clean close", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk);
    await log.append([created(1)]);
    await log.append([entries(1, 1, 2)]);
    await log.close();
    const damaged = disk.clone();
    flipBit(damaged, segmentFile(1), frameAt(disk, 1, 1).offset + 60);
    assert.deepEqual(lifecycles((await openTestLog(damaged)).log), { 1: "condemned" });
    disk.put(segmentFile(1), Buffer.concat([disk.content(segmentFile(1)), Buffer.from("more")]));
    await assert.rejects(openTestLog(disk), { code: "CORRUPTION" });
  });

  it("cuts the newest segment only: a torn end of an older one is damage", async () => {
    const disk = await sixFrames();
    await openTestLog(disk);
    const last = frameAt(disk, 1, -1);
    const flipped = disk.clone();
    flipBit(flipped, segmentFile(1), last.offset + 60);
    assert.deepEqual(lifecycles((await openTestLog(flipped)).log), { 1: "live", 2: "live", 3: "condemned" });
    cutFile(disk, segmentFile(1), last.offset + 60);
    await assert.rejects(openTestLog(disk), {
      code: "CORRUPTION",
      message: new RegExp(`${segmentFile(1)} offset ${last.offset}`),
    });
  });

  it("does not start a condemned group again, over purges and reopening, until it is destroyed", async () => {
    const disk = await sixFrames();
    flipBit(disk, segmentFile(1), frameAt(disk, 1, 2).offset + 60);
    let { log } = await openTestLog(disk, { segmentBytes: 500 });
    const reason = reasonOf(log, 3);
    await assert.rejects(log.append([hardState(3, 10, 31, 0)]), /condemned, not live/);
    await log.append([1, 2].map((groupId) => ({ kind: "truncate" as const, groupId, index: 4, term: 1 })));
    for (let index = 5; index < 30; index++)
      await log.append([entries(1, index, index, 1, 50), { kind: "truncate", groupId: 1, index, term: 1 }]);
    await log.close();
    assert.equal(disk.files.has(segmentFile(1)), false);
    for (let round = 0; round < 3; round++) {
      ({ log } = await openTestLog(disk));
      assert.equal(reasonOf(log, 3), reason);
      await log.close();
    }
    ({ log } = await openTestLog(disk));
    await assert.rejects(log.append([created(3, 99)]), /cannot be created/);
    await log.append([{ kind: "destroyed", groupId: 3, peerId: 30, confVer: 2, version: 1 }]);
    await log.append([created(3, 31), entries(3, 1, 1)]);
    await log.close();
    ({ log } = await openTestLog(disk));
    assert.deepEqual(log.group(3)?.lifecycle, { state: "live", peerId: 31 });
  });

  it("lets a tombstone outweigh damage before it, while the damaged segment is still there", async () => {
    const disk = await sixFrames();
    flipBit(disk, segmentFile(1), frameAt(disk, 1, 2).offset + 60);
    const { log } = await openTestLog(disk);
    await log.append([{ kind: "destroyed", groupId: 3, peerId: 30, confVer: 2, version: 1 }]);
    await log.append([created(3, 31), entries(3, 1, 2)]);
    const expected = dumpLog(log);
    await log.close();
    const { log: again } = await openTestLog(disk);
    assert.deepEqual(dumpLog(again), expected);
  });

  it("condemns a group on the host's word, durably", async () => {
    const disk = await sixFrames();
    const { log } = await openTestLog(disk);
    await log.append([{ kind: "condemned", groupId: 2, reason: "applied 9 is after the last index 4" }]);
    const { log: again } = await openTestLog(disk.clone());
    assert.deepEqual(again.group(2)?.lifecycle, {
      state: "condemned",
      peerId: 20,
      reason: "applied 9 is after the last index 4",
    });
  });

  it("refuses the store when both lists of a frame with lost records are damaged", async () => {
    const disk = await sixFrames();
    const frame = frameAt(disk, 1, 2);
    flipBit(disk, segmentFile(1), frameEnd(frame) - 1);
    flipBit(disk, segmentFile(1), frameEnd(frame) - frame.listBytes - 1);
    await assert.rejects(openTestLog(disk), {
      code: "CORRUPTION",
      message: new RegExp(`${segmentFile(1)} offset ${frame.offset}.*replace the store`),
      details: { file: segmentFile(1), offset: frame.offset },
    });
  });

  it("bounds several damaged frames in a row by headers forward and lists backward", async () => {
    const disk = await sixFrames();
    const [second, third] = [frameAt(disk, 1, 1), frameAt(disk, 1, 2)];
    flipBit(disk, segmentFile(1), second.offset + 60); // a record of group 1
    flipBit(disk, segmentFile(1), third.offset + 10); // the header
    flipBit(disk, segmentFile(1), third.offset + 60); // a record of group 3
    assert.deepEqual(lifecycles((await openTestLog(disk)).log), { 1: "condemned", 2: "live", 3: "condemned" });
    flipBit(disk, segmentFile(1), frameEnd(third) - 1); // now nothing tells where the third began
    await assert.rejects(openTestLog(disk), { code: "CORRUPTION" });
  });

  for (const [what, spoil] of [
    ["removed", (disk: TestDisk) => void disk.files.delete(segmentFile(3))],
    ["empty", (disk: TestDisk) => disk.put(segmentFile(3), Buffer.alloc(0))],
    ["cut at a frame", (disk: TestDisk) => cutFile(disk, segmentFile(3), frameAt(disk, 3, -1).offset)],
    ["replaced by its neighbour", (disk: TestDisk) => disk.put(segmentFile(3), disk.content(segmentFile(2)))],
    ["damaged in its head", (disk: TestDisk) => flipBit(disk, segmentFile(3), 70)],
  ] as const) {
    it(`refuses the store when a segment in the middle is ${what}`, async () => {
      const disk = new TestDisk();
      const { log } = await openTestLog(disk, { segmentBytes: 1500 });
      await log.append([created(1)]);
      for (let index = 1; index <= 30; index++) await log.append([entries(1, index, index, 1, 300)]);
      const crashed = disk.clone();
      assert.ok(crashed.files.has(segmentFile(5)));
      spoil(crashed);
      await assert.rejects(openTestLog(crashed), {
        code: "CORRUPTION",
        message: new RegExp(segmentFile(what === "cut at a frame" ? 4 : 3)),
      });
    });
  }

  it("refuses a segment of another log, and a stale one of its own", async () => {
    const make = async (wallMs: number): Promise<TestDisk> => {
      const disk = new TestDisk();
      const clock = { monotonicMs: () => 1, wallMs: () => wallMs };
      const { log } = await openTestLog(disk, { clock, segmentBytes: 300 });
      await log.append([created(1)]);
      for (let index = 1; index <= 10; index++) await log.append([entries(1, index, index)]);
      return disk.clone();
    };
    const [own, foreign] = [await make(1), await make(2)];
    const mixed = own.clone();
    mixed.put(segmentFile(2), foreign.content(segmentFile(2)));
    await assert.rejects(openTestLog(mixed), { code: "CORRUPTION", message: /0002\.wal .*another log/ });
    own.put(segmentFile(2), own.content(segmentFile(1)));
    await assert.rejects(openTestLog(own), { code: "CORRUPTION", message: /0002\.wal .*holds segment 1/ });
  });

  it("refuses to begin anew when the head of the only segment left is damaged", async () => {
    const disk = new TestDisk();
    for (let round = 0; round < 2; round++) {
      const { log } = await openTestLog(disk);
      if (round === 0) await log.append([created(1), hardState(1, 7, 10, 0)]);
      await log.close();
    }
    assert.deepEqual([...disk.files.keys()].sort(), [segmentFile(2), markPath(DIRECTORY)]);
    disk.files.delete(markPath(DIRECTORY));
    flipBit(disk, segmentFile(2), 20);
    await assert.rejects(openTestLog(disk), { code: "CORRUPTION", message: /head of the segment is damaged/ });
  });

  it("condemns a group whose entries are in no segment", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk, { segmentBytes: 300 });
    await log.append([created(1), created(2), entries(1, 1, 3, 1, 5000)]);
    for (let index = 1; index <= 20; index++)
      await log.append([entries(2, index, index, 1, 40), { kind: "truncate", groupId: 2, index, term: 1 }]);
    const crashed = disk.clone();
    crashed.files.delete(segmentFile(1));
    const { log: recovered } = await openTestLog(crashed);
    assert.match(reasonOf(recovered, 1), /entry 1 of \(0, 3\] is in no segment/);
    assert.equal(recovered.group(2)?.lifecycle.state, "live");
  });

  it("refuses unknown versions and kinds instead of guessing", async () => {
    const disk = await sixFrames();
    const { crc32 } = await import("node:zlib");
    const bytes = Buffer.from(disk.content(segmentFile(1)));
    const frame = frameAt(disk, 1, 3);
    bytes.writeUInt16LE(2, frame.offset + 4);
    bytes.writeUInt32LE(crc32(bytes.subarray(frame.offset, frame.offset + 44)), frame.offset + 44);
    assert.equal(viewOf(bytes).getUint16(frame.offset + 4, true), 2);
    disk.put(segmentFile(1), bytes);
    await assert.rejects(openTestLog(disk), {
      code: "VERSION_UNSUPPORTED",
      message: /0001\.wal offset \d+: format version 2/,
    });
  });

  it("closes every file when it refuses", async () => {
    const disk = await sixFrames();
    await openTestLog(disk).then(({ log }) => log.close());
    cutFile(disk, segmentFile(1), 300);
    const before = disk.openFiles;
    await assert.rejects(openTestLog(disk), { code: "CORRUPTION" });
    assert.equal(disk.openFiles, before);
  });

  it("reports a file that cannot be read as a failed disk, not as damage", async () => {
    const disk = await sixFrames();
    let unreadable = "";
    disk.intercept = (call, path) => {
      if (call === "read" && path === unreadable) throw new Error("EIO");
    };
    for (unreadable of [segmentFile(1), markPath(DIRECTORY)])
      await assert.rejects(openTestLog(disk), { code: "DISK_FAILED", message: new RegExp(unreadable) });
  });
});
