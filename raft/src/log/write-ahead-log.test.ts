import assert from "node:assert/strict";
import { TestDisk } from "./test-disk.js";
import { created, dumpLog, entries, entry, hardState, openTestLog, segmentFile } from "./test-log.js";

/** Asserts that what was written is what another process reads. */
async function assertSurvives(disk: TestDisk, before: unknown): Promise<void> {
  const { log } = await openTestLog(disk.clone());
  assert.deepEqual(dumpLog(log), before);
  await log.close();
}

describe("WriteAheadLog", () => {
  it("reads entries that are in no cache from frames in memory and from files", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk, { cacheBytes: 0 });
    void log.append([
      created(7),
      entries(7, 1, 5),
      { kind: "entries", groupId: 7, entries: [{ ...entry(6), type: "confChangeV2" }] },
    ]);
    const expected = [1, 2, 3, 4, 5].map((index) => entry(index));
    assert.deepEqual(log.group(7)?.entries(1, 6, 1e6), expected);
    await log.append([]);
    assert.deepEqual(log.group(7)?.entries(1, 6, 1e6), expected);
    assert.equal(log.group(7)?.entries(6, 7, 1e6)[0]?.type, "confChangeV2");
  });

  it("stores entries larger than a frame, and splits what is too much for one", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk, { cacheBytes: 0 });
    await log.append([
      created(7),
      entries(7, 1, 2, 1, 3_000_000),
      entries(7, 3, 40, 1, 100_000),
      hardState(7, 1, 70, 40),
    ]);
    assert.deepEqual(log.group(7)?.entries(2, 4, 1e9), [entry(2, 1, 3_000_000), entry(3, 1, 100_000)]);
    assert.ok(log.stats().syncs >= 6, `${log.stats().syncs} frames`);
    await assertSurvives(disk, dumpLog(log));
  });

  it("goes on in new segments, whose heads carry every group", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk, { segmentBytes: 2000 });
    await log.append([created(7), created(8), hardState(8, 3, 80, 0)]);
    for (let index = 1; index <= 60; index++) await log.append([entries(7, index, index, 1, 100)]);
    assert.ok(log.stats().segments >= 4);
    assert.ok(disk.content(segmentFile(3)).length > 2000);
    await assertSurvives(disk, dumpLog(log));
  });

  it("closes all of its files", async () => {
    const disk = new TestDisk();
    for (let round = 0; round < 3; round++) {
      const { log } = await openTestLog(disk);
      if (round === 0) await log.append([created(7), entries(7, 1, 1)]);
      await log.close();
    }
    assert.equal(disk.openFiles, 0);
  });

  it("reports an entry that rotted in its file as corruption, with its place", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk, { cacheBytes: 0 });
    await log.append([created(7), entries(7, 1, 3)]);
    const bytes = disk.content(segmentFile(1));
    const at = bytes.indexOf("entry 2");
    bytes.write("EN", at);
    assert.equal(log.group(7)?.entries(1, 2, 1e6).length, 1);
    assert.throws(() => log.group(7)?.entries(1, 4, 1e6), {
      code: "CORRUPTION",
      message: /0001\.wal offset \d+: entry 2 of group 7/,
    });
  });
});
