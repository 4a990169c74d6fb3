import assert from "node:assert/strict";
import type { Logger } from "@rhea/common";
import type { RaftLog } from "./api.js";
import { TestDisk } from "./test-disk.js";
import { created, dumpLog, entries, openTestLog, segmentFile } from "./test-log.js";

/** A log that does not sync, with what its disk was asked to sync since it was opened. */
async function unsyncedLog(disk: TestDisk, segmentBytes = 1 << 20): Promise<{ log: RaftLog; synced: string[] }> {
  const { log } = await openTestLog(disk, { sync: false, segmentBytes });
  const synced: string[] = [];
  disk.intercept = (call, path) => {
    if (call === "datasync") synced.push(path);
  };
  return { log, synced };
}

describe("a log with sync: false", () => {
  it("says so with a warning and in its figures", async () => {
    const lines: string[] = [];
    const logger: Logger = {
      isEnabled: () => true,
      log: (level, message) => void lines.push(`${level} ${message}`),
      child: () => logger,
    };
    const { log } = await openTestLog(new TestDisk(), { sync: false, logger });
    assert.match(lines[0] ?? "", /^warn log wal is opened with sync: false: .*votes .*may be lost/);
    assert.equal(log.stats().isSync, false);
    assert.equal((await openTestLog(new TestDisk())).log.stats().isSync, true);
  });

  it("acknowledges what is written, and syncs only full segments and at its close", async () => {
    const disk = new TestDisk();
    const { log, synced } = await unsyncedLog(disk, 2_000);
    await log.append([created(1)]);
    await log.append([entries(1, 1, 3, 1, 700)]);
    assert.deepEqual([...synced], []);
    await log.append([entries(1, 4, 4, 1, 500)]);
    assert.deepEqual(synced.slice(0, 2), [segmentFile(1), segmentFile(2)]);
    const expected = dumpLog(log);
    synced.length = 0;
    await log.close();
    assert.ok(synced.includes(segmentFile(2)));
    const { log: again } = await openTestLog(disk);
    assert.ok(again.wasClosedCleanly);
    assert.deepEqual(dumpLog(again), expected);
  });

  it("loses nothing when only the process dies", async () => {
    const disk = new TestDisk();
    const { log } = await unsyncedLog(disk);
    await log.append([created(1), entries(1, 1, 9)]);
    assert.deepEqual(dumpLog((await openTestLog(disk.clone())).log), dumpLog(log));
  });

  it("goes on from the last whole state when the machine dies and any number of the last writes is lost, in any order", async () => {
    const disk = new TestDisk();
    const { log } = await unsyncedLog(disk);
    const states: unknown[] = [];
    const ends: number[] = [];
    for (let index = 0; index <= 8; index++) {
      await log.append([index === 0 ? created(1) : entries(1, index, index)]);
      states.push(JSON.stringify(dumpLog(log)));
      ends.push(disk.content(segmentFile(1)).length);
    }
    for (let lost = 1; lost <= 8; lost++) {
      const left = disk.clone();
      const bytes = Buffer.from(disk.content(segmentFile(1)));
      // One frame in the middle never reached the disk, those behind it did.
      bytes.fill(0, ends[lost - 1], ends[lost]);
      left.put(segmentFile(1), bytes);
      const { log: recovered } = await openTestLog(left, { sync: lost % 2 === 0 });
      assert.equal(JSON.stringify(dumpLog(recovered)), states[lost - 1]);
      await recovered.append([entries(1, lost, lost, 2)]);
    }
  });

  it("removes no segment before what made it dead is durable", async () => {
    const disk = new TestDisk();
    const { log } = await unsyncedLog(disk, 2_000);
    await log.append([created(1)]);
    for (let index = 1; index <= 12; index++) await log.append([entries(1, index, index, 1, 500)]);
    assert.ok(disk.files.has(segmentFile(3)));
    await log.append([{ kind: "truncate", groupId: 1, index: 12, term: 1 }]);
    for (let i = 0; i < 100; i++) await Promise.resolve();
    assert.ok(disk.files.has(segmentFile(1)));
    for (let index = 13; index <= 24; index++) await log.append([entries(1, index, index, 1, 500)]);
    for (let i = 0; i < 100; i++) await Promise.resolve();
    assert.ok(!disk.files.has(segmentFile(1)));
  });
});
