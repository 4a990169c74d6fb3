/** Consensus alone, in every test run: fixed and fresh seeds that must hold, and the planted bugs. `SEED=n` runs that world, twice. */
import assert from "node:assert/strict";
import { secondsOf } from "./env-node/campaign-process.js";
import { deadlineIn, freshSeed } from "./env-node/deadline.js";
import { runRaftPart } from "./env-node/raft-campaign-process.js";
import { FLAVOURS, type Flavour } from "./raft/flavours.js";
import { runRaftWorld, type RaftWorldOptions, type RaftWorldReport } from "./raft/raft-world.js";

const FIXED_SEEDS = 120;
/** Worlds of damaged disks beside these: what happens in them is rare elsewhere. */
const DISK_SEEDS = 24;
/** Seconds for seeds that nobody has run before. */
const FRESH_SECONDS = 12;
const PROCESSES = 2;
const TIMEOUT_MS = 8 * 60_000;

/** A campaign in which one of these never happens tests less than it says. */
const SOMETIMES = [
  ...["crash", "kill", "killLeader", "powerFailure", "restartAll", "addressChange", "pause", "clockJump", "ghost"],
  ...["partition", "halves", "oneWay", "partialPartition", "reset", "loss", "newLeaderCut"],
  ...["slowDisk", "diskError", "failedSync", "failStop", "tornTailRecovered", "flipBit", "loseDisk", "oldImage"],
  ...["refused DISK_LOST", "refused STALE_IDENTITY", "groupCondemned", "condemnedReplaced", "storeReplaced"],
  ...["learnerAdded", "promoted", "promotedWhileDivided", "removed", "changePeers", "peerDestroyed"],
  ...["jointEntered", "leaderStruckInJoint", "snapshotLoaded", "transfer", "transferAborted"],
  ...["readRefused", "figureEight4", "cutAtOldCommit"],
];

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const commandOf = (seed: number, flavour: Flavour | "" = ""): string =>
  flavour === ""
    ? `SEED=${seed} npx mocha sim/src/raft-campaign.test.ts`
    : `SEED=${seed} FLAVOUR=${flavour} npx mocha sim/src/raft-campaign.test.ts`;

async function assertReplays(seed: number, options: RaftWorldOptions = {}): Promise<RaftWorldReport> {
  const first = await runRaftWorld(seed, options);
  const second = await runRaftWorld(seed, options);
  assert.deepEqual(second, first, `seed ${seed} does not replay: the world depends on something that is not its seed`);
  return first;
}

const given = process.env["SEED"];

if (given !== undefined) {
  describe(`raft world ${given}`, () => {
    it("holds every invariant and replays exactly", async function () {
      this.timeout(TIMEOUT_MS);
      const flavour = FLAVOURS.find((name) => name === process.env["FLAVOUR"]);
      const report = await assertReplays(Number(given), flavour === undefined ? {} : { flavour });
      print(JSON.stringify(report, undefined, 2));
      assert.equal(report.failure, undefined);
    });
  });
} else {
  describe("raft campaign", () => {
    let abort: AbortController;
    const reports: RaftWorldReport[] = [];

    beforeEach(() => {
      abort = new AbortController();
    });

    afterEach(() => {
      abort.abort();
    });

    const run = async (
      from: number,
      count: number,
      isOver: () => boolean,
      flavour: { readonly flavour?: Flavour } = {},
    ): Promise<void> => {
      const before = reports.length;
      const parts = Array.from({ length: PROCESSES }, (_, i) => ({
        from: from + i,
        count: count / PROCESSES,
        step: PROCESSES,
        ...flavour,
      }));
      const seconds = await secondsOf(async () => {
        const note = (report: RaftWorldReport): "stop" | undefined => {
          reports.push(report);
          return isOver() ? "stop" : undefined;
        };
        await Promise.all(parts.map((part) => runRaftPart(part, abort.signal, note)));
      });
      const ran = reports.slice(before);
      const sum = (of: (report: RaftWorldReport) => number): number => ran.reduce((total, each) => total + of(each), 0);
      print(
        `${ran.length} raft worlds from seed ${from} on in ${seconds.toFixed(1)} s: ${Math.round(sum((r) => r.virtualMs) / 1000)} virtual seconds, ` +
          `${sum((r) => r.events)} events, ${sum((r) => r.operations)} operations, ${sum((r) => r.completed)} of them acknowledged`,
      );
      const failed = ran.filter(({ failure }) => failure !== undefined);
      const findings = failed.map(
        ({ seed, failure = "" }) => `seed ${seed}: ${failure}\n  ${commandOf(seed, flavour.flavour ?? "")}`,
      );
      assert(findings.length === 0, findings.join("\n"));
    };

    it("worlds of fixed and of fresh seeds hold every invariant, converge after healing, and are hard enough", async function () {
      this.timeout(TIMEOUT_MS);
      await run(1, FIXED_SEEDS, () => false);
      await run(1, DISK_SEEDS, () => false, { flavour: "disks" });
      assert.equal(reports.length, FIXED_SEEDS + DISK_SEEDS);
      await run(freshSeed(), 100_000, deadlineIn(FRESH_SECONDS));
      const marks = new Map<string, number>();
      for (const report of reports)
        for (const [name, count] of Object.entries(report.marks)) marks.set(name, (marks.get(name) ?? 0) + count);
      const sorted = [...marks].toSorted(([one], [other]) => (one < other ? -1 : 1));
      print(sorted.map(([name, count]) => `${name} ${count}`).join(", "));
      const missing = SOMETIMES.filter((name) => !marks.has(name));
      assert.deepEqual(missing, [], "these never happened");
      const unseen = FLAVOURS.filter((flavour) => reports.every((report) => report.flavour !== flavour));
      assert.deepEqual(unseen, [], "no world was of these kinds");
    });

    it("the same seed gives the same world", async function () {
      this.timeout(TIMEOUT_MS);
      for (const seed of [3, 6, 7, 11]) await assertReplays(seed);
    });
  });
}
