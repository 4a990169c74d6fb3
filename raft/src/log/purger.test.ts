import assert from "node:assert/strict";
import type { LogRecord, RaftLog } from "./api.js";
import { markPath } from "./durable-mark.js";
import { TestDisk } from "./test-disk.js";
import { created, dumpLog, entries, hardState, openTestLog, segmentFile } from "./test-log.js";

const SEGMENT_BYTES = 4000;

const truncate = (groupId: number, index: number): LogRecord => ({ kind: "truncate", groupId, index, term: 1 });

/** Appends entries of a group one frame each, keeping the last `keep`. */
async function churn(log: RaftLog, groupId: number, first: number, last: number, keep: number): Promise<void> {
  for (let index = first; index <= last; index++) {
    await log.append([
      entries(groupId, index, index, 1, 200),
      ...(index > keep ? [truncate(groupId, index - keep)] : []),
    ]);
  }
}

/** Lets everything that can run without the disk run. */
async function settle(): Promise<void> {
  for (let i = 0; i < 200; i++) await Promise.resolve();
}

function segmentsOf(disk: TestDisk): string[] {
  return [...disk.files.keys()].filter((name) => name.endsWith(".wal")).sort();
}

describe("Purger", () => {
  it("removes segments without live entries, keeping all other state", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk, { segmentBytes: SEGMENT_BYTES });
    await log.append([
      created(1),
      created(2),
      hardState(2, 7, 20, 0),
      { kind: "destroyed", groupId: 3, peerId: 9, confVer: 1, version: 1 },
    ]);
    await churn(log, 1, 1, 200, 3);
    await log.append([]);
    assert.ok(log.stats().removedSegments >= 8);
    assert.equal(log.stats().rewrittenBytes, 0);
    assert.ok(segmentsOf(disk).length <= 3);
    const { log: again } = await openTestLog(disk.clone());
    assert.deepEqual(dumpLog(again), dumpLog(log));
  });

  it("removes the oldest first and makes each removal durable before the next", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk, { segmentBytes: SEGMENT_BYTES });
    await log.append([created(1)]);
    await churn(log, 1, 1, 60, 1000);
    const before = segmentsOf(disk);
    disk.journal.length = 0;
    await log.append([truncate(1, 60)]);
    await settle();
    const expected = before.slice(0, -1).flatMap((path) => [`remove ${path}`, "syncDir wal"]);
    assert.ok(expected.length >= 6);
    const start = disk.journal.findIndex((line) => line.startsWith("remove"));
    assert.deepEqual(disk.journal.slice(start, start + expected.length), expected);
  });

  it("removes nothing before the truncation that allows it is durable", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk, { segmentBytes: SEGMENT_BYTES });
    await log.append([created(1)]);
    await churn(log, 1, 1, 60, 1000);
    const before = segmentsOf(disk);
    let release: (() => void) | undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    disk.intercept = (call) => (call === "datasync" ? held : undefined);
    const done = log.append([truncate(1, 60)]);
    await settle();
    for (const path of before) assert.ok(disk.files.has(path));
    release?.();
    await done;
    await settle();
    assert.ok(segmentsOf(disk).length <= 2);
  });

  it("rewrites the few entries that pin old segments, so that the log stays bounded", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk, { segmentBytes: SEGMENT_BYTES, cacheBytes: 0 });
    // Groups 2..6 write a little and then rest; group 1 goes on.
    for (let groupId = 2; groupId <= 6; groupId++) await log.append([created(groupId), entries(groupId, 1, 3)]);
    await log.append([created(1)]);
    await churn(log, 1, 1, 600, 2);
    const { fileBytes, liveBytes, rewrittenBytes } = log.stats();
    assert.ok(rewrittenBytes > 0);
    assert.ok(fileBytes < 2 * liveBytes + 8 * SEGMENT_BYTES, `${fileBytes} bytes for ${liveBytes} live ones`);
    assert.equal(disk.files.has(segmentFile(1)), false);
    const { log: again } = await openTestLog(disk.clone());
    assert.deepEqual(dumpLog(again), dumpLog(log));
    await log.append([entries(3, 2, 2, 9), truncate(4, 2)]);
    assert.deepEqual(dumpLog((await openTestLog(disk.clone())).log), dumpLog(log));
  });

  it("does not lose a rewritten entry when the rewriting frame is torn", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk, { segmentBytes: SEGMENT_BYTES });
    await log.append([created(1), created(2), entries(2, 1, 3)]);
    let states: { disk: TestDisk; expected: unknown }[] = [];
    for (let index = 1; index <= 120; index++) {
      await churn(log, 1, index, index, 2);
      states.push({ disk: disk.clone(), expected: dumpLog(log) });
      if (log.stats().rewrittenBytes > 0) break;
    }
    assert.ok(log.stats().rewrittenBytes > 0);
    states = states.slice(-3);
    for (const state of states) {
      const newest = segmentsOf(state.disk).at(-1)!;
      const bytes = state.disk.content(newest);
      for (let cut = 1; cut < 60; cut += 7) {
        const crashed = state.disk.clone();
        crashed.put(newest, bytes.subarray(0, bytes.length - cut));
        crashed.files.delete(markPath("wal"));
        const { log: recovered } = await openTestLog(crashed);
        assert.deepEqual(
          recovered
            .group(2)
            ?.entries(1, 4, 1e6)
            .map(({ index }) => index),
          [1, 2, 3],
        );
      }
    }
  });

  it("cleans up after a process that keeps crashing", async () => {
    let disk = new TestDisk();
    const first = await openTestLog(disk);
    await first.log.append([created(1), entries(1, 1, 1)]);
    for (let round = 0; round < 100; round++) {
      disk = disk.clone();
      const { log } = await openTestLog(disk);
      await log.append([hardState(1, round + 1, 10, 1)]);
      await settle();
    }
    assert.ok(segmentsOf(disk).length <= 70, `${segmentsOf(disk).length} segments`);
  });

  it("keeps a segment with an unreadable entry instead of losing or retrying it", async () => {
    const disk = new TestDisk();
    const { log, failures } = await openTestLog(disk, { segmentBytes: SEGMENT_BYTES, cacheBytes: 0 });
    await log.append([created(1), created(2), entries(2, 1, 3)]);
    const bytes = disk.content(segmentFile(1));
    bytes.write("EN", bytes.indexOf("entry 2"));
    await churn(log, 1, 1, 300, 2);
    assert.equal(disk.files.has(segmentFile(1)), true);
    assert.deepEqual(failures, []);
    await log.append([truncate(2, 3)]);
    await churn(log, 1, 301, 330, 2);
    assert.equal(disk.files.has(segmentFile(1)), false);
  });

  it("stops the log when a segment cannot be removed", async () => {
    const disk = new TestDisk();
    const { log, failures } = await openTestLog(disk, { segmentBytes: SEGMENT_BYTES });
    await log.append([created(1)]);
    disk.intercept = (call) => {
      if (call === "remove") throw new Error("EIO");
    };
    await assert.rejects(churn(log, 1, 1, 200, 2), { code: "DISK_FAILED" });
    assert.equal(failures.length, 1);
    await log.close();
  });
});
