import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@rhea/common";
import { nodeClock, nodeDisk } from "@rhea/common/env-node";
import type { LogOptions } from "./api.js";
import { openLog } from "./open-log.js";
import { created, dumpLog, entries } from "./test-log.js";

describe("the log on a real disk", () => {
  let directory: string;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), "rhea-log-"));
  });

  after(() => rmSync(directory, { recursive: true, force: true }));

  it("writes, rotates, purges and reads everything back", async () => {
    const options: LogOptions = {
      disk: nodeDisk,
      directory: join(directory, "log"),
      clock: nodeClock,
      logger: silentLogger,
      segmentBytes: 200_000,
      cacheBytes: 0,
      onFailed: (error) => assert.fail(error),
    };
    const log = await openLog(options);
    const groups = [1, 2, 3, 4, 5];
    await log.append(groups.map((groupId) => created(groupId)));
    for (let index = 1; index <= 200; index++) {
      const truncated = groups.map((groupId) => ({ kind: "truncate" as const, groupId, index: index - 20, term: 1 }));
      const done = log.append([
        ...groups.map((groupId) => entries(groupId, index, index, 1, 2000)),
        ...(index > 20 ? truncated : []),
      ]);
      if (index % 3 === 0) await done;
    }
    await log.append([]);
    const before = dumpLog(log);
    assert.ok(log.stats().removedSegments > 0);
    await log.close();
    const again = await openLog(options);
    assert.ok(again.wasClosedCleanly);
    assert.deepEqual(dumpLog(again), before);
    await again.close();
  });
});
