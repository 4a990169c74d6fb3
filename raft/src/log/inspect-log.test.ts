import assert from "node:assert/strict";
import { markPath } from "./durable-mark.js";
import { inspectLog, type InspectedFrame } from "./inspect-log.js";
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
  it("lists frames and groups of a healthy log", async () => {
    const disk = await closedLog();
    const frames: InspectedFrame[] = [];
    const { findings, refusal, groups, wasClosedCleanly } = await inspectLog(disk, DIRECTORY, (frame) =>
      frames.push(frame),
    );
    assert.deepEqual([findings, refusal, wasClosedCleanly], [[], undefined, true]);
    assert.deepEqual(
      groups.map(({ groupId, lastIndex }) => [groupId, lastIndex]),
      [
        [1, 3],
        [2, 1],
      ],
    );
    assert.deepEqual(
      frames.map(({ sequence, kinds }) => [sequence, kinds]),
      [
        [1, [5, 5]],
        [2, [1, 1, 1]],
        [3, [1]],
        [4, [10]],
      ],
    );
    assert.deepEqual(frames[1]?.groups, [{ groupId: 1, records: 3 }]);
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
      assert.ok(findings.some((line) => /group 1 is condemned: .*0001\.wal offset \d+: frame 2 is damaged/.test(line)));
      assert.equal(
        findings.some((line) => /cut at offset/.test(line)),
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
