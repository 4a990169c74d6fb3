import assert from "node:assert/strict";
import type { LogRecord, RaftLog } from "./api.js";
import { TestDisk } from "./test-disk.js";
import { created, dumpLog, entries, hardState, openTestLog } from "./test-log.js";

const SEGMENT_BYTES = 8_000;
const GROUPS = [1, 2, 3, 4, 5, 6, 7, 8];
const STEPS = 3_000;

/** What docs/design/0001-formats.md promises, with room for the segment in hand and the rewriting under way. */
const bound = (liveBytes: number): number => 2 * liveBytes + 8 * SEGMENT_BYTES;

/** A small generator of numbers: the lives differ by their seed only. */
function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % limit;
  };
}

/**
 * One turn of a store: groups that are written to and cut behind their followers, one that is never cut for a long time (a follower is down), some that wrote
 * once and rest (their few entries pin old segments).
 */
function turn(log: RaftLog, next: (limit: number) => number, lagging: number): LogRecord[] {
  const records: LogRecord[] = [];
  for (let i = 0; i <= next(3); i++) {
    const groupId = GROUPS[next(4)] ?? 1;
    const group = log.group(groupId);
    if (group?.lifecycle.state !== "live" || records.some((record) => record.groupId === groupId)) continue;
    const { lastIndex, truncatedIndex } = group;
    const isOverwriting = next(20) === 0 && lastIndex - truncatedIndex > 3;
    const first = isOverwriting ? lastIndex - 2 : lastIndex + 1;
    records.push(entries(groupId, first, first + next(4), 1 + Math.floor(lastIndex / 100), next(400)));
    if (next(4) === 0) records.push(hardState(groupId, lastIndex + 1, groupId, truncatedIndex));
    const keep = 5 + next(10);
    if (groupId !== lagging && lastIndex - truncatedIndex > keep && !isOverwriting) {
      records.push({ kind: "truncate", groupId, index: lastIndex - keep, term: group.term(lastIndex - keep) });
    }
  }
  return records;
}

async function settle(): Promise<void> {
  for (let i = 0; i < 300; i++) await Promise.resolve();
}

describe("the space that a log takes", function () {
  this.timeout(60_000);

  for (const seed of [1, 2, 3]) {
    it(`stays below twice its live bytes plus eight segments over a long life with restarts (seed ${seed})`, async () => {
      const next = random(seed);
      let disk = new TestDisk();
      const options = { segmentBytes: SEGMENT_BYTES, cacheBytes: seed === 1 ? 0 : 1 << 20 };
      let { log } = await openTestLog(disk, options);
      await log.append(GROUPS.flatMap((groupId) => [created(groupId), entries(groupId, 1, 2, 1, 100)]));
      let lagging = 0;
      let [written, worst, rewritten, removed] = [0, 0, 0, 0];
      const leave = (): void => {
        rewritten += log.stats().rewrittenBytes;
        removed += log.stats().removedSegments;
      };
      for (let step = 1; step <= STEPS; step++) {
        // A follower of one of the busy groups is down for a while, then a snapshot or its return lets the group be cut.
        if (step % 400 === 0) lagging = lagging === 0 ? (GROUPS[next(4)] ?? 1) : 0;
        const records = turn(log, next, lagging);
        for (const record of records) if (record.kind === "entries") written += record.entries.length * 200;
        await log.append(records);
        if (step % 1_000 === 500) {
          leave();
          const before = dumpLog(log);
          if (step % 2_000 === 500) await log.close();
          else disk = disk.clone();
          ({ log } = await openTestLog(disk, options));
          assert.deepEqual(dumpLog(log), before);
        }
        if (step % 20 !== 0) continue;
        await settle();
        const { fileBytes, liveBytes, deadBytes } = log.stats();
        const files = [...disk.files].filter(([path]) => path.endsWith(".wal"));
        assert.equal(
          fileBytes,
          files.reduce((sum, [, { bytes }]) => sum + bytes.length, 0),
        );
        assert.ok(deadBytes >= 0 && liveBytes + deadBytes <= fileBytes);
        worst = Math.max(worst, fileBytes / bound(liveBytes));
        assert.ok(fileBytes < bound(liveBytes), `step ${step}: ${fileBytes} bytes for ${liveBytes} live ones`);
      }
      leave();
      // It was a life that would have filled the disk, and that needed both ways of purging.
      assert.ok(written > 20 * bound(0), `${written}`);
      assert.ok(rewritten > 0 && removed > 20, `${rewritten} ${removed}`);
      assert.ok(worst > 0.2, `the bound is far too wide: ${worst}`);
      const expected = dumpLog(log);
      await log.close();
      assert.deepEqual(dumpLog((await openTestLog(disk, options)).log), expected);
    });
  }
});
