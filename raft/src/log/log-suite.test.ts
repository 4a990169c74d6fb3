import assert from "node:assert/strict";
import type { RaftLog } from "./api.js";
import { describeRaftLog, type LogSuiteSubject } from "./log-suite.js";
import { openMemoryLog } from "./memory-log.js";
import { TestDisk } from "./test-disk.js";
import { openTestLog } from "./test-log.js";

/** Logs on a disk in memory; an open while one is open goes on from a copy of its files, as after a crash. */
function fileLogs(overrides: {
  cacheBytes?: number;
  segmentBytes?: number;
  sync?: boolean;
}): () => Promise<LogSuiteSubject> {
  return async () => {
    let disk = new TestDisk();
    return {
      open: async (options) => {
        disk = disk.clone();
        return (await openTestLog(disk, { ...overrides, ...options })).log;
      },
      destroy: async () => undefined,
    };
  };
}

describeRaftLog("write-ahead log", fileLogs({}));
describeRaftLog("write-ahead log, tiny segments and no cache", fileLogs({ segmentBytes: 500, cacheBytes: 0 }));
describeRaftLog("write-ahead log, sync: false", fileLogs({ segmentBytes: 5000, sync: false }));
describeRaftLog("memory", async () => {
  let newest: RaftLog | undefined;
  return {
    open: async (options) => {
      newest = openMemoryLog({ ...options, ...(newest === undefined ? {} : { earlier: newest }) });
      return newest;
    },
    destroy: async () => undefined,
  };
});

describe("openMemoryLog", () => {
  it("says that nothing is durable", () => {
    const log = openMemoryLog();
    assert.equal(log.stats().isSync, false);
    assert.equal(log.stats().fileBytes, 0);
  });

  it("goes on from a log in memory only, and ends that one", async () => {
    const { log: file } = await openTestLog(new TestDisk());
    assert.throws(() => openMemoryLog({ earlier: file }), { code: "INVALID_ARGUMENT" });
    const first = openMemoryLog();
    openMemoryLog({ earlier: first });
    await assert.rejects(first.append([]), { code: "SHUTTING_DOWN" });
  });
});
