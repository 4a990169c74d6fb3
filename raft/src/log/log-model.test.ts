/**
 * Random histories against a model: any records, any timing of the disk, crashes that lose what was not synced, rot in old frames.
 * What was acknowledged must be there; what is there must be a state the log once had; damaged groups must not start.
 */
import assert from "node:assert/strict";
import { RheaError } from "@rhea/common";
import fc from "fast-check";
import type { LogRecord, RaftLog } from "./api.js";
import { TestDisk } from "./test-disk.js";
import { dumpGroup, dumpLog, entries, hardState, openTestLog } from "./test-log.js";

const GROUPS = [1, 2, 3, 4];

/** What to do next; numbers are reduced to what is possible when it is done. */
interface Step {
  readonly kind:
    "entries" | "overwrite" | "hardState" | "truncate" | "install" | "destroy" | "wait" | "tick" | "crash" | "close";
  readonly groupId: number;
  readonly amount: number;
  readonly bytes: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.oneof(
    { weight: 10, arbitrary: fc.constantFrom("entries" as const, "truncate" as const) },
    {
      weight: 4,
      arbitrary: fc.constantFrom("overwrite" as const, "hardState" as const, "wait" as const, "tick" as const),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom("install" as const, "destroy" as const, "crash" as const, "close" as const),
    },
  ),
  groupId: fc.constantFrom(...GROUPS),
  amount: fc.nat(20),
  bytes: fc.oneof(fc.nat(200), fc.nat(2000)),
});

let nextPeer = 0;

/** Turns a step into records that fit the group as it is. */
function recordsFor(log: RaftLog, { kind, groupId, amount, bytes }: Step): LogRecord[] {
  const group = log.group(groupId);
  if (group?.lifecycle.state !== "live") {
    const peerId = (nextPeer += 10);
    return [{ kind: "created", groupId, peerId, index: amount, term: amount === 0 ? 0 : 1 }];
  }
  const { truncatedIndex, lastIndex, hardState: hard } = group;
  const live = lastIndex - truncatedIndex;
  const inside = truncatedIndex + (live === 0 ? 0 : 1 + (amount % live));
  switch (kind) {
    case "entries":
      return [entries(groupId, lastIndex + 1, lastIndex + 1 + (amount % 5), hard.term + 1, bytes)];
    case "overwrite":
      return live === 0
        ? []
        : [
            entries(groupId, inside, inside + (amount % 3), hard.term + 2, bytes),
            hardState(groupId, hard.term + 1, amount, 0),
          ];
    case "hardState":
      return [hardState(groupId, hard.term + 1, amount, truncatedIndex)];
    case "truncate":
      return live === 0 ? [] : [{ kind: "truncate", groupId, index: inside, term: group.term(inside) }];
    case "install": {
      const confState = { voters: [1], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
      if (group.pendingInstall !== undefined) return [{ kind: "installed", groupId }];
      return [{ kind: "install", groupId, file: "f", index: lastIndex + amount + 1, term: hard.term, confState }];
    }
    case "destroy":
      return [{ kind: "destroyed", groupId, peerId: group.lifecycle.peerId, confVer: 1, version: amount }];
    case "wait":
    case "tick":
    case "crash":
    case "close":
      return [];
  }
}

/** A disk whose unsynced bytes a crash may lose: remembers how long each file was at its last fsync. */
class CrashDisk extends TestDisk {
  readonly durableLength = new Map<string, number>();
  readonly #isLying: boolean;

  /** `isLying`: it says that it synced, and did not. */
  constructor(isLying: boolean) {
    super();
    this.#isLying = isLying;
    this.intercept = (call, path) => {
      if (call === "datasync" && !isLying) this.durableLength.set(path, this.content(path).length);
    };
  }

  /** What is left after a power loss: of the newest file at least what was synced, and some of the rest. */
  afterCrash(keepRatio: number): CrashDisk {
    const left = new CrashDisk(this.#isLying);
    for (const [path, { bytes }] of this.files) {
      const durable = Math.min(this.durableLength.get(path) ?? 0, bytes.length);
      const kept = durable + Math.floor((bytes.length - durable) * keepRatio);
      left.put(path, bytes.subarray(0, kept));
      left.durableLength.set(path, kept);
    }
    return left;
  }
}

/** One process: its log, every state it went through, and up to which it was told that they are durable. */
class Life {
  readonly log: RaftLog;
  readonly states: string[];
  acknowledged = 0;

  constructor(log: RaftLog) {
    this.log = log;
    this.states = [JSON.stringify(dumpLog(log))];
  }

  /** Appends records one by one, so that every frame boundary is a state that is known here. */
  append(records: readonly LogRecord[]): void {
    for (const record of records) {
      const done = this.log.append([record]);
      const position = this.states.push(JSON.stringify(dumpLog(this.log))) - 1;
      void done.then(() => (this.acknowledged = Math.max(this.acknowledged, position)));
    }
  }
}

/** Runs random steps; after every crash or close the recovered state must be one that is allowed. */
function crashProperty(isLying: boolean): fc.IAsyncProperty<[Step[], number]> {
  const steps = fc.array(step, { minLength: 5, maxLength: 80 });
  return fc.asyncProperty(steps, fc.double({ min: 0, max: 1, noNaN: true }), async (actions, keepRatio) => {
    const options = { segmentBytes: 3000, cacheBytes: 2000 };
    let disk = new CrashDisk(isLying);
    let life = new Life((await openTestLog(disk, options)).log);
    for (const action of actions) {
      switch (action.kind) {
        case "wait":
          await life.log.append([]);
          break;
        case "tick":
          for (let i = 0; i < action.amount; i++) await Promise.resolve();
          break;
        case "close":
        case "crash": {
          if (action.kind === "close") await life.log.close();
          else disk = disk.afterCrash(keepRatio);
          const possible = life.states.slice(action.kind === "close" ? -1 : life.acknowledged);
          life = new Life((await openTestLog(disk, options)).log);
          if (action.kind === "close") assert.ok(life.log.wasClosedCleanly);
          const found = life.states[0] ?? "";
          assert.ok(possible.includes(found), `recovered ${found}\nwhich is none of\n${possible.join("\n")}`);
          break;
        }
        case "entries":
        case "overwrite":
        case "hardState":
        case "truncate":
        case "install":
        case "destroy":
          life.append(recordsFor(life.log, action));
      }
    }
    await life.log.close();
  });
}

describe("the log under random histories", () => {
  it("recovers a state between what was acknowledged and what was appended, after any crash", async () => {
    await fc.assert(crashProperty(false), { numRuns: 150 });
  });

  it("would be caught if it acknowledged without an fsync", async () => {
    const result = await fc.check(crashProperty(true), { numRuns: 500, endOnFailure: true });
    assert.ok(result.failed);
    // Either an acknowledged state is gone, or the log notices a hole that no crash of an honest log can leave.
    const caught = result.errorInstance;
    const isRefusal = caught instanceof RheaError && caught.code === "CORRUPTION";
    assert.ok(isRefusal || /which is none of/.test(String(caught)), String(caught));
  });

  it("never starts a group that lost a record to rot, and never touches the others", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 10, maxLength: 60 }),
        fc.nat(),
        fc.nat(),
        async (steps, filePick, bytePick) => {
          const options = { segmentBytes: 3000 };
          const disk = new TestDisk();
          const { log } = await openTestLog(disk, options);
          for (const action of steps) await log.append(recordsFor(log, action));
          await log.close();
          const expected = new Map([...log.groups()].map((group) => [group.groupId, JSON.stringify(summaryOf(group))]));
          const paths = [...disk.files.keys()].sort();
          const path = paths[filePick % paths.length]!;
          const bytes = Buffer.from(disk.content(path));
          const at = bytePick % bytes.length;
          bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (bytePick % 8)), at);
          disk.put(path, bytes);
          let damaged: RaftLog;
          try {
            ({ log: damaged } = await openTestLog(disk, options));
          } catch (error) {
            assert.match(String(error), /CORRUPTION|cannot be used/);
            return;
          }
          for (const group of damaged.groups()) {
            if (group.lifecycle.state === "condemned") continue;
            assert.equal(JSON.stringify(summaryOf(group)), expected.get(group.groupId));
            dumpGroup(group);
          }
          for (const groupId of expected.keys()) assert.ok(damaged.group(groupId));
        },
      ),
      { numRuns: 300 },
    );
  });
});

function summaryOf(group: {
  lifecycle: unknown;
  hardState: { term: number; vote: number };
  truncatedIndex: number;
  lastIndex: number;
}): unknown {
  const { lifecycle, hardState: hard, truncatedIndex, lastIndex } = group;
  return [lifecycle, hard.term, hard.vote, truncatedIndex, lastIndex];
}
