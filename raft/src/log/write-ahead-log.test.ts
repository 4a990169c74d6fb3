import assert from "node:assert/strict";
import { StorageCompactedError, StorageUnavailableError } from "../core/errors.js";
import type { ConfState } from "../core/types.js";
import { TestDisk } from "./test-disk.js";
import { created, dumpLog, entries, entry, hardState, openTestLog, segmentFile } from "./test-log.js";

const CONF_STATE: ConfState = { voters: [1, 2], learners: [3], votersOutgoing: [], learnersNext: [], autoLeave: false };

/** Asserts that what was written is what another process reads. */
async function assertSurvives(disk: TestDisk, before: unknown): Promise<void> {
  const { log } = await openTestLog(disk.clone());
  assert.deepEqual(dumpLog(log), before);
  await log.close();
}

describe("WriteAheadLog", () => {
  it("shows appends at once and gives them all back to the next process", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk);
    const done = log.append([created(7), created(8), entries(7, 1, 3), entries(8, 1, 1), hardState(7, 1, 70, 2)]);
    assert.equal(log.group(7)?.lastIndex, 3);
    assert.deepEqual(log.group(7)?.entries(2, 4, 1e6), [entry(2), entry(3)]);
    assert.deepEqual(log.group(7)?.hardState, { term: 1, vote: 70, commit: 2 });
    await done;
    await assertSurvives(disk, dumpLog(log));
  });

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

  it("bounds a read by bytes but always gives one entry", async () => {
    for (const cacheBytes of [0, 1e6]) {
      const { log } = await openTestLog(new TestDisk(), { cacheBytes });
      await log.append([created(7), entries(7, 1, 10, 1, 1000)]);
      const group = log.group(7);
      assert.equal(group?.entries(3, 11, 0).length, 1);
      assert.equal(group.entries(3, 11, 3100).length, 3);
      assert.equal(group.entries(3, 11, 1e9).length, 8);
      assert.deepEqual(group.entries(3, 3, 1e9), []);
    }
  });

  it("throws the core's storage errors outside of the live range", async () => {
    const { log } = await openTestLog(new TestDisk());
    await log.append([created(7), entries(7, 1, 10, 3), { kind: "truncate", groupId: 7, index: 4, term: 3 }]);
    const group = log.group(7);
    assert.equal(group?.term(4), 3);
    assert.throws(() => group.term(3), StorageCompactedError);
    assert.throws(() => group.entries(4, 6, 1), StorageCompactedError);
    assert.throws(() => group.term(11), StorageUnavailableError);
    assert.throws(() => group.entries(9, 12, 1), StorageUnavailableError);
  });

  it("replaces the tail by a new leader's entries, also when only a part of it is durable", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk, { cacheBytes: 0 });
    await log.append([created(7), entries(7, 1, 10, 1)]);
    void log.append([entries(7, 11, 20, 1)]);
    await log.append([entries(7, 5, 6, 2)]);
    assert.equal(log.group(7)?.lastIndex, 6);
    assert.equal(log.group(7)?.term(5), 2);
    assert.deepEqual(log.group(7)?.entries(4, 7, 1e6), [entry(4, 1), entry(5, 2), entry(6, 2)]);
    await assertSurvives(disk, dumpLog(log));
  });

  it("keeps a pending snapshot install until it is finished, and restarts the log after it", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk);
    await log.append([created(7), entries(7, 1, 10)]);
    const install = { file: "staged/ü", index: 100, term: 4, confState: CONF_STATE };
    await log.append([{ kind: "install", groupId: 7, ...install }]);
    assert.deepEqual(log.group(7)?.pendingInstall, install);
    assert.deepEqual(
      [log.group(7)?.truncatedIndex, log.group(7)?.truncatedTerm, log.group(7)?.lastIndex],
      [100, 4, 100],
    );
    await assertSurvives(disk, dumpLog(log));
    await log.append([entries(7, 101, 102, 4), { kind: "installed", groupId: 7 }]);
    assert.equal(log.group(7)?.pendingInstall, undefined);
    await assertSurvives(disk, dumpLog(log));
  });

  it("remembers destroyed peers and creates only newer ones in their group", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk);
    await log.append([created(7, 20), entries(7, 1, 3), hardState(7, 2, 20, 1)]);
    await assert.rejects(log.append([created(7, 21)]), /peer 21 cannot be created, peer 20 is live/);
    await log.append([{ kind: "destroyed", groupId: 7, peerId: 20, confVer: 5, version: 6 }]);
    assert.deepEqual(log.group(7)?.lifecycle, { state: "destroyed", peerId: 20, confVer: 5, version: 6 });
    await assertSurvives(disk, dumpLog(log));
    await assert.rejects(log.append([created(7, 20)]), /peer 20 cannot be created, peer 20 is destroyed/);
    await assert.rejects(log.append([entries(7, 1, 1)]), /destroyed, not live/);
    await log.append([{ kind: "created", groupId: 7, peerId: 30, index: 50, term: 9 }, entries(7, 51, 52, 9)]);
    assert.deepEqual(log.group(7)?.hardState, { term: 0, vote: 0, commit: 0 });
    await assertSurvives(disk, dumpLog(log));
  });

  it("keeps a tombstone for a peer that never was here", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk);
    await log.append([{ kind: "destroyed", groupId: 7, peerId: 20, confVer: 5, version: 6 }]);
    await assert.rejects(log.append([created(7, 19)]), /cannot be created/);
    await assertSurvives(disk, dumpLog(log));
  });

  it("refuses records that make no sense, without writing them", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk);
    await log.append([created(7), entries(7, 1, 5), { kind: "truncate", groupId: 7, index: 2, term: 1 }]);
    const before = dumpLog(log);
    await assert.rejects(log.append([entries(7, 7, 8)]), /first index 7 does not fit \(2, 6\]/);
    await assert.rejects(log.append([entries(7, 2, 3)]), /first index 2 does not fit/);
    await assert.rejects(
      log.append([{ kind: "entries", groupId: 7, entries: [entry(6), entry(8)] }]),
      /index 8 where 7 was due/,
    );
    await assert.rejects(log.append([{ kind: "truncate", groupId: 7, index: 6, term: 1 }]), /after the last index 5/);
    await assert.rejects(log.append([hardState(9, 1, 1, 1)]), /group is absent/);
    assert.deepEqual(dumpLog(log), before);
    await assertSurvives(disk, before);
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

  it("tells whether and by which incarnation it was closed", async () => {
    const disk = new TestDisk();
    const first = await openTestLog(disk, { incarnation: 4 });
    assert.equal(first.log.wasClosedCleanly, true);
    assert.equal(first.log.newestIncarnation, 0);
    await first.log.append([created(7)]);
    const crashed = await openTestLog(disk.clone(), { incarnation: 5 });
    assert.equal(crashed.log.wasClosedCleanly, false);
    assert.equal(crashed.log.newestIncarnation, 4);
    await first.log.close();
    await first.log.close();
    const closed = await openTestLog(disk, { incarnation: 5 });
    assert.equal(closed.log.wasClosedCleanly, true);
    // Incarnation 5 opened the log but wrote no frame before it died.
    const third = await openTestLog(disk.clone(), { incarnation: 6 });
    assert.equal(third.log.newestIncarnation, 4);
    await assert.rejects(first.log.append([created(8)]), { code: "SHUTTING_DOWN" });
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
