/** The suite that every `RaftLog` must pass. Called by a mocha test of the log; not a test by itself. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { StorageCompactedError, StorageUnavailableError } from "../core/errors.js";
import type { ConfState } from "../core/types.js";
import type { GroupLog, LogRecord, RaftLog } from "./api.js";
import { created, dumpLog, entries, entry, hardState } from "./test-log.js";

/** How the suite gets a log: a place that can be opened again, after a close or without one as after a crash of the process. */
export interface LogSuiteSubject {
  open(options?: { readonly incarnation?: number }): Promise<RaftLog>;
  /** Removes the place; logs that are still open are abandoned. */
  destroy(): Promise<void>;
}

const CONF_STATE: ConfState = { voters: [1, 2], learners: [3], votersOutgoing: [], learnersNext: [], autoLeave: false };

/** Declares the tests. `create` makes a subject with an empty place of its own. */
export function describeRaftLog(name: string, create: () => Promise<LogSuiteSubject>): void {
  describe(`raft log: ${name}`, () => {
    let subject: LogSuiteSubject;
    let log: RaftLog;

    beforeEach(async () => {
      subject = await create();
      log = await subject.open();
    });
    afterEach(() => subject.destroy());

    const group = (groupId: number): GroupLog => {
      const found = log.group(groupId);
      assert.ok(found, `group ${groupId}`);
      return found;
    };
    /** Goes on in the next process, after a close or a crash, and checks that nothing has changed. */
    const restart = async (how: "close" | "crash"): Promise<void> => {
      await log.append([]);
      const before = dumpLog(log);
      if (how === "close") await log.close();
      log = await subject.open();
      assert.deepEqual(dumpLog(log), before);
      if (how === "close") assert.ok(log.wasClosedCleanly);
    };

    it("is empty at first", () => {
      assert.deepEqual([...log.groups()], []);
      assert.equal(log.group(1), undefined);
      assert.deepEqual([log.wasClosedCleanly, log.newestIncarnation], [true, 0]);
    });

    it("shows appends at once, before they are durable, and gives them all back to the next process", async () => {
      const done = log.append([created(7), created(8), entries(7, 1, 3), entries(8, 1, 1), hardState(7, 1, 70, 2)]);
      assert.equal(group(7).lastIndex, 3);
      assert.equal(group(7).term(3), 1);
      assert.deepEqual(group(7).entries(2, 4, 1e6), [entry(2), entry(3)]);
      assert.deepEqual(group(7).hardState, { term: 1, vote: 70, commit: 2 });
      assert.deepEqual(
        [...log.groups()].map(({ groupId }) => groupId).sort((a, b) => a - b),
        [7, 8],
      );
      await done;
      await restart("crash");
      await restart("close");
    });

    it("resolves appends in the order of the calls", async () => {
      await log.append([created(7)]);
      const order: number[] = [];
      const all = Array.from({ length: 30 }, (_, i) =>
        log.append([entries(7, i + 1, i + 1)]).then(() => order.push(i)),
      );
      await Promise.all(all);
      assert.deepEqual(order, [...order.keys()]);
      assert.equal(order.length, 30);
    });

    it("keeps type and data of entries", async () => {
      const types = ["normal", "confChange", "confChangeV2"] as const;
      const given = types.map((type, i) => ({ ...entry(i + 1), type, data: Buffer.from([i, 0, 255]) }));
      await log.append([created(7), { kind: "entries", groupId: 7, entries: given }, entries(7, 4, 4, 1, 300_000)]);
      await log.close();
      log = await subject.open();
      const found = group(7).entries(1, 4, 1e6);
      assert.deepEqual(
        found.map((each) => [each.index, each.term, each.type, [...each.data]]),
        given.map((each) => [each.index, each.term, each.type, [...each.data]]),
      );
      assert.equal(group(7).entries(4, 5, 1)[0]?.data.length, 300_000);
    });

    it("bounds a read by bytes but always gives one entry", async () => {
      await log.append([created(7), entries(7, 1, 10, 1, 1000)]);
      for (let round = 0; round < 2; round++) {
        assert.equal(group(7).entries(3, 11, 0).length, 1);
        assert.equal(group(7).entries(3, 11, 3100).length, 3);
        assert.equal(group(7).entries(3, 11, 1e9).length, 8);
        assert.deepEqual(group(7).entries(3, 3, 1e9), []);
        await restart("close");
      }
    });

    it("throws the core's storage errors outside of the live range", async () => {
      await log.append([created(7), entries(7, 1, 10, 3), { kind: "truncate", groupId: 7, index: 4, term: 3 }]);
      assert.equal(group(7).term(4), 3);
      assert.throws(() => group(7).term(3), StorageCompactedError);
      assert.throws(() => group(7).entries(4, 6, 1), StorageCompactedError);
      assert.throws(() => group(7).term(11), StorageUnavailableError);
      assert.throws(() => group(7).entries(9, 12, 1), StorageUnavailableError);
    });

    it("truncates from the front, and ignores a truncation that is behind", async () => {
      await log.append([created(7), entries(7, 1, 10, 3)]);
      const before = group(7).liveBytes;
      await log.append([{ kind: "truncate", groupId: 7, index: 6, term: 3 }]);
      await log.append([{ kind: "truncate", groupId: 7, index: 2, term: 3 }]);
      assert.deepEqual([group(7).truncatedIndex, group(7).truncatedTerm, group(7).lastIndex], [6, 3, 10]);
      assert.ok(group(7).liveBytes < before && group(7).liveBytes > 0);
      assert.ok(log.stats().liveBytes >= group(7).liveBytes);
      await log.append([{ kind: "truncate", groupId: 7, index: 10, term: 3 }]);
      assert.equal(group(7).liveBytes, 0);
      assert.equal(group(7).lastIndex, 10);
      await log.append([entries(7, 11, 11, 4)]);
      await restart("crash");
    });

    it("replaces the tail by a new leader's entries, also when only a part of it is durable", async () => {
      await log.append([created(7), entries(7, 1, 10, 1)]);
      void log.append([entries(7, 11, 20, 1)]);
      await log.append([entries(7, 5, 6, 2)]);
      assert.equal(group(7).lastIndex, 6);
      assert.equal(group(7).term(5), 2);
      assert.deepEqual(group(7).entries(4, 7, 1e6), [entry(4, 1), entry(5, 2), entry(6, 2)]);
      assert.throws(() => group(7).term(7), StorageUnavailableError);
      await restart("crash");
    });

    it("keeps a pending snapshot install until it is finished, and restarts the log after it", async () => {
      await log.append([created(7), entries(7, 1, 10)]);
      const install = { file: "staged/ü", index: 100, term: 4, confState: CONF_STATE };
      await log.append([{ kind: "install", groupId: 7, ...install }]);
      assert.deepEqual(group(7).pendingInstall, install);
      assert.deepEqual([group(7).truncatedIndex, group(7).truncatedTerm, group(7).lastIndex], [100, 4, 100]);
      await restart("crash");
      await log.append([entries(7, 101, 102, 4), { kind: "installed", groupId: 7 }]);
      assert.equal(group(7).pendingInstall, undefined);
      await restart("close");
    });

    it("remembers destroyed peers and creates only newer ones in their group", async () => {
      await log.append([created(7, 20), entries(7, 1, 3), hardState(7, 2, 20, 1)]);
      await assert.rejects(log.append([created(7, 21)]), /peer 21 cannot be created, peer 20 is live/);
      await log.append([{ kind: "destroyed", groupId: 7, peerId: 20, confVer: 5, version: 6 }]);
      assert.deepEqual(group(7).lifecycle, { state: "destroyed", peerId: 20, confVer: 5, version: 6 });
      await restart("crash");
      await assert.rejects(log.append([created(7, 20)]), /peer 20 cannot be created, peer 20 is destroyed/);
      await assert.rejects(log.append([entries(7, 1, 1)]), /destroyed, not live/);
      await log.append([{ kind: "created", groupId: 7, peerId: 30, index: 50, term: 9 }, entries(7, 51, 52, 9)]);
      assert.deepEqual(group(7).hardState, { term: 0, vote: 0, commit: 0 });
      await restart("close");
    });

    it("keeps a tombstone for a peer that never was here, and the newer of two", async () => {
      const tombstone = (peerId: number): LogRecord => ({
        kind: "destroyed",
        groupId: 7,
        peerId,
        confVer: 5,
        version: 6,
      });
      await log.append([tombstone(20)]);
      await assert.rejects(log.append([created(7, 19)]), /cannot be created/);
      await log.append([tombstone(10)]);
      assert.equal(group(7).lifecycle.peerId, 20);
      await restart("crash");
    });

    it("starts no condemned group again before it is destroyed; the first reason stays", async () => {
      await log.append([created(7, 20), entries(7, 1, 3)]);
      await log.append([{ kind: "condemned", groupId: 7, reason: "no good" }]);
      await log.append([{ kind: "condemned", groupId: 7, reason: "worse" }]);
      assert.deepEqual(group(7).lifecycle, { state: "condemned", peerId: 20, reason: "no good" });
      await restart("close");
      await restart("crash");
      await assert.rejects(log.append([entries(7, 4, 4)]), /condemned, not live/);
      await assert.rejects(log.append([hardState(7, 9, 9, 0)]), /condemned, not live/);
      await assert.rejects(log.append([created(7, 21)]), /cannot be created/);
      await log.append([{ kind: "destroyed", groupId: 7, peerId: 20, confVer: 5, version: 6 }, created(7, 21)]);
      assert.deepEqual(group(7).lifecycle, { state: "live", peerId: 21 });
      await restart("crash");
    });

    it("refuses records that make no sense, without writing them", async () => {
      await log.append([created(7), entries(7, 1, 5), { kind: "truncate", groupId: 7, index: 2, term: 1 }]);
      const before = dumpLog(log);
      const gap: LogRecord = { kind: "entries", groupId: 7, entries: [entry(6), entry(8)] };
      for (const [record, why] of [
        [entries(7, 7, 8), /first index 7 does not fit \(2, 6\]/],
        [entries(7, 2, 3), /first index 2 does not fit/],
        [gap, /index 8 where 7 was due/],
        [{ kind: "truncate", groupId: 7, index: 6, term: 1 }, /after the last index 5/],
        [hardState(9, 1, 1, 1), /group is absent/],
        [created(0), /group id must be/],
      ] satisfies [LogRecord, RegExp][]) {
        await assert.rejects(log.append([record]), why);
        assert.deepEqual(dumpLog(log), before);
      }
      await restart("crash");
    });

    it("takes a commit beyond the last index back at the next open", async () => {
      await log.append([created(7), entries(7, 1, 3), hardState(7, 1, 10, 8)]);
      log = await subject.open();
      assert.equal(group(7).hardState.commit, 3);
    });

    it("tells whether and by which incarnation it was closed", async () => {
      log = await subject.open({ incarnation: 4 });
      await log.append([created(7)]);
      log = await subject.open({ incarnation: 5 });
      assert.deepEqual([log.wasClosedCleanly, log.newestIncarnation], [false, 4]);
      // Incarnation 5 writes nothing before it dies.
      log = await subject.open({ incarnation: 6 });
      assert.equal(log.newestIncarnation, 4);
    });

    it("takes nothing once it is closing, finishes what is under way, and closes twice as once", async () => {
      await log.append([created(7)]);
      let isDurable = false;
      void log.append([entries(7, 1, 1)]).then(() => (isDurable = true));
      const closing = Promise.all([log.close(), log.close()]);
      await assert.rejects(log.append([entries(7, 2, 2)]), { code: "SHUTTING_DOWN" });
      await closing;
      assert.ok(isDurable);
      log = await subject.open();
      assert.equal(group(7).lastIndex, 1);
    });

    it("behaves as a plain array of entries under any appends, overwrites and truncations", async () => {
      const step = fc.record({
        kind: fc.constantFrom("put", "put", "cut"),
        at: fc.nat(30),
        count: fc.integer({ min: 1, max: 6 }),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
          const groupId = [...log.groups()].length + 1;
          await log.append([created(groupId)]);
          let model: string[] = [];
          let first = 1;
          let term = 1;
          for (const { kind, at, count } of steps) {
            const last = first + model.length - 1;
            if (kind === "cut") {
              const index = Math.min(last, first - 1 + (at % (model.length + 1)));
              if (index < first) continue;
              void log.append([{ kind: "truncate", groupId, index, term: group(groupId).term(index) }]);
              model = model.slice(index - first + 1);
              first = index + 1;
            } else {
              const from = first + (at % (model.length + 1));
              term++;
              void log.append([entries(groupId, from, from + count - 1, term)]);
              model = [
                ...model.slice(0, from - first),
                ...Array.from({ length: count }, (_, i) => `${from + i}/${term}`),
              ];
            }
          }
          const check = (): void => {
            const { truncatedIndex, lastIndex } = group(groupId);
            const found = group(groupId).entries(truncatedIndex + 1, lastIndex + 1, 1e9);
            assert.equal(truncatedIndex, first - 1);
            assert.deepEqual(
              found.map((each) => `${each.index}/${each.term}`),
              model,
            );
          };
          check();
          await log.append([]);
          await log.close();
          log = await subject.open();
          check();
        }),
        { numRuns: 30 },
      );
    });
  });
}
