import assert from "node:assert/strict";
import { markPath } from "./durable-mark.js";
import { inspectLog } from "./inspect-log.js";
import { readLog, type ReadItem } from "./read-log.js";
import { TestDisk } from "./test-disk.js";
import { created, DIRECTORY, entries, flipBit, openTestLog, segmentFile } from "./test-log.js";

async function closedLog(): Promise<TestDisk> {
  const disk = new TestDisk();
  const { log } = await openTestLog(disk);
  await log.append([created(1), created(2)]);
  await log.append([entries(1, 1, 3)]);
  await log.append([entries(2, 1, 1)]);
  await log.close();
  return disk;
}

function contents(disk: TestDisk): unknown {
  return [...disk.files].map(([path, { bytes }]) => [path, bytes.toString("hex")]);
}

describe("inspectLog", () => {
  it("finds nothing in a healthy log", async () => {
    const disk = await closedLog();
    const { findings, refusal, groups, wasClosedCleanly } = await inspectLog(disk, DIRECTORY);
    assert.deepEqual([findings, refusal, wasClosedCleanly], [[], undefined, true]);
    assert.deepEqual(
      groups.map(({ groupId, lastIndex }) => [groupId, lastIndex]),
      [
        [1, 3],
        [2, 1],
      ],
    );
  });

  it("judges damage and torn ends as an open would, and writes nothing", async () => {
    const disk = await closedLog();
    flipBit(disk, segmentFile(1), disk.content(segmentFile(1)).indexOf("entry 2"));
    const torn = disk.clone();
    torn.put(segmentFile(1), disk.content(segmentFile(1)).subarray(0, -3));
    torn.files.delete(markPath(DIRECTORY));
    for (const each of [disk, torn]) {
      const before = contents(each);
      const { findings, groups } = await inspectLog(each, DIRECTORY);
      assert.deepEqual(contents(each), before);
      assert.ok(
        findings.some(
          ({ level, message }) =>
            level === "error" && /group 1 is condemned: .*0001\.wal offset \d+: frame 2 is damaged/.test(message),
        ),
      );
      assert.equal(
        findings.some(({ level, message }) => level === "warn" && /cut at offset/.test(message)),
        each === torn,
      );
      assert.deepEqual(
        groups.map(({ lifecycle }) => lifecycle.state),
        ["condemned", "live"],
      );
      assert.equal(each.openFiles, 0);
    }
  });

  it("tells why a log would be refused", async () => {
    const disk = await closedLog();
    flipBit(disk, segmentFile(1), 10);
    const { refusal, groups } = await inspectLog(disk, DIRECTORY);
    assert.equal(refusal?.code, "CORRUPTION");
    assert.deepEqual(groups, []);
  });
});

describe("readLog", () => {
  async function read(disk: TestDisk): Promise<ReadItem[]> {
    const items: ReadItem[] = [];
    for await (const item of readLog(disk, DIRECTORY)) items.push(item);
    return items;
  }

  it("tells every segment, frame and record", async () => {
    const disk = await closedLog();
    const items = await read(disk);
    assert.deepEqual(
      items.map((item) =>
        item.item === "frame" ? [item.sequence, item.isIntact, item.records.map(({ kind }) => kind)] : item,
      ),
      [
        {
          item: "segment",
          path: segmentFile(1),
          bytes: disk.content(segmentFile(1)).length,
          head: "good",
          groups: 0,
          isSynced: true,
        },
        [1, true, ["created", "created"]],
        [2, true, ["entry", "entry", "entry"]],
        [3, true, ["entry"]],
        [4, true, ["cleanClose"]],
      ],
    );
    const [, first, second] = items;
    assert.ok(first?.item === "frame" && second?.item === "frame");
    assert.deepEqual(first.records[1]?.state, created(2));
    assert.deepEqual(first.groups, [
      { groupId: 1, records: 1 },
      { groupId: 2, records: 1 },
    ]);
    assert.deepEqual(second.records[2]?.entry, {
      index: 3,
      term: 1,
      type: "normal",
      dataBytes: "entry 3 of term 1".length,
    });
    assert.equal(first.offset + first.bytes, second.offset);
  });

  it("goes on behind damage, and names it", async () => {
    const disk = await closedLog();
    const bytes = disk.content(segmentFile(1));
    const frames = [...bytes.toString("latin1").matchAll(/RHFR/g)].map(({ index }) => index);
    flipBit(disk, segmentFile(1), bytes.indexOf("entry 2")); // a record of the second frame
    flipBit(disk, segmentFile(1), (frames[2] ?? 0) + 8); // the header of the third
    const items = await read(disk);
    assert.deepEqual(
      items.map((item) => (item.item === "frame" ? item.records.map(({ kind }) => kind) : item.item)),
      ["segment", ["created", "created"], ["entry", "damaged", "entry"], "gap", ["cleanClose"]],
    );
    flipBit(disk, segmentFile(1), 3);
    assert.deepEqual(
      (await read(disk)).map((item) => (item.item === "segment" ? item.head : item.item)),
      ["bad"],
    );
  });
});
