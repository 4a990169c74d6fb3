import assert from "node:assert/strict";
import { markPath, readMark } from "./durable-mark.js";
import { TestDisk, type DiskCall } from "./test-disk.js";
import {
  created,
  DIRECTORY,
  dumpLog,
  entries,
  flipBit,
  forgetDurableSince,
  openTestLog,
  segmentFile,
} from "./test-log.js";

const MARK = markPath(DIRECTORY);

/** A crashed log of one segment with four frames, all acknowledged. */
async function crashedLog(): Promise<TestDisk> {
  const disk = new TestDisk();
  const { log } = await openTestLog(disk);
  await log.append([created(1)]);
  for (let index = 1; index <= 3; index++) await log.append([entries(1, index, index)]);
  await settle();
  return disk.clone();
}

async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

describe("the durable mark", () => {
  it("refuses a log whose newest file is gone, whether it was closed or not", async () => {
    for (const isClosed of [true, false]) {
      const disk = await crashedLog();
      const { log } = await openTestLog(disk);
      if (isClosed) await log.close();
      const left = disk.clone();
      left.files.delete(segmentFile(2));
      await assert.rejects(openTestLog(left), { code: "CORRUPTION", message: /0002\.wal .*missing, the newest/ });
      left.files.delete(segmentFile(1));
      await assert.rejects(openTestLog(left), { code: "CORRUPTION", message: /0001\.wal .*missing, the newest/ });
    }
  });

  it("refuses a log that ends before a frame that was durable", async () => {
    const disk = await crashedLog();
    const bytes = disk.content(segmentFile(1));
    const frames = [...bytes.toString("latin1").matchAll(/RHFR/g)].map(({ index }) => index);
    for (const offset of frames) {
      const left = disk.clone();
      left.put(segmentFile(1), bytes.subarray(0, offset));
      const message = new RegExp(`0001\\.wal offset ${offset}: .*frame 4 was durable: its end is missing`);
      await assert.rejects(openTestLog(left), { code: "CORRUPTION", message });
      // In the middle of a frame nothing tells which groups were in it.
      left.put(segmentFile(1), bytes.subarray(0, offset + 30));
      await assert.rejects(openTestLog(left), { code: "CORRUPTION" });
      left.put(segmentFile(1), Buffer.concat([bytes.subarray(0, offset), Buffer.alloc(bytes.length - offset)]));
      await assert.rejects(openTestLog(left), { code: "CORRUPTION" });
    }
  });

  it("lets no acknowledged frame at the end be cut, although no later frame says that it was durable", async () => {
    const disk = await crashedLog();
    flipBit(disk, segmentFile(1), disk.content(segmentFile(1)).length - 80);
    assert.equal((await openTestLog(disk)).log.group(1)?.lifecycle.state, "condemned");
  });

  it("says nothing when it is absent, damaged or older than the log", async () => {
    const disk = await crashedLog();
    const expected = dumpLog((await openTestLog(disk.clone())).log);
    const old = new TestDisk();
    await openTestLog(old);
    for (const spoil of [
      (left: TestDisk) => void left.files.delete(MARK),
      (left: TestDisk) => left.put(MARK, Buffer.alloc(0)),
      (left: TestDisk) => left.put(MARK, Buffer.alloc(1024, 7)),
      (left: TestDisk) => forgetDurableSince(left, old),
    ]) {
      const left = disk.clone();
      spoil(left);
      const { log } = await openTestLog(left);
      assert.deepEqual(dumpLog(log), expected);
      await log.close();
      left.files.delete(segmentFile(2));
      await assert.rejects(openTestLog(left), { code: "CORRUPTION" });
    }
  });

  it("still tells the newest but one state when a write of it is torn at any byte", async () => {
    const disk = await crashedLog();
    for (let at = 0; at < 1024; at++) {
      const left = disk.clone();
      flipBit(left, MARK, at);
      left.files.delete(segmentFile(1));
      await assert.rejects(openTestLog(left), { code: "CORRUPTION" }, `flipped at ${at}`);
    }
  });

  it("refuses to stand beside another log", async () => {
    const disk = await crashedLog();
    const other = new TestDisk();
    await openTestLog(other, { clock: { monotonicMs: () => 1, wallMs: () => 2_000 } });
    forgetDurableSince(disk, other);
    await assert.rejects(openTestLog(disk), { code: "CORRUPTION", message: /durable\.mark .*another log/ });
  });

  it("is written behind the log's back: no append waits for it, and one write is under way at a time", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk);
    const writes: string[] = [];
    let release: (() => void) | undefined;
    disk.intercept = (call, path) => {
      if (path !== MARK) return undefined;
      writes.push(call);
      return new Promise((resolve) => (release = resolve));
    };
    await log.append([created(1)]);
    for (let index = 1; index <= 5; index++) await log.append([entries(1, index, index)]);
    assert.deepEqual(writes, ["write"]);
    release?.();
    await settle();
    assert.deepEqual(writes, ["write", "write"]);
  });

  it("is written for every eighth frame where one follows the other", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk);
    await log.append([created(1)]);
    await settle();
    let writes = 0;
    disk.intercept = (call, path) => {
      if (call === "write" && path === MARK) writes++;
    };
    // The next is always there when one is durable.
    const appends: Promise<void>[] = [];
    for (let index = 1; index <= 17; index++) {
      appends.push(log.append([entries(1, index, index, 1, 1 << 20)]));
    }
    await Promise.all(appends);
    await settle();
    assert.ok(writes >= 2 && writes <= 4, `${writes} writes for 17 frames`);
    assert.equal((await readMark(disk, DIRECTORY)).state === "good", true);
  });

  it("stops the process when it cannot be written, as any file of the log", async () => {
    for (const failing of ["write", "datasync"] satisfies DiskCall[]) {
      let now = 0;
      const disk = new TestDisk();
      const clock = { monotonicMs: () => (now += 500), wallMs: () => 1_000 };
      const { log, failures } = await openTestLog(disk, { clock });
      disk.intercept = (call, path) => {
        if (call === failing && path === MARK) throw new Error("EIO");
      };
      await log.append([created(1)]);
      for (let index = 1; index <= 5; index++) await log.append([entries(1, index, index)]).catch(() => undefined);
      await settle();
      assert.equal(failures.length, 1);
      assert.match(String(failures[0]), /durable\.mark failed \(EIO\)/);
      await assert.rejects(log.append([entries(1, 6, 6)]), { code: "DISK_FAILED" });
      await log.close();
      assert.equal(disk.openFiles, 0);
    }
  });
});
