/** The whole store in every test run: worlds that must hold. `SEED=n` runs that world alone. Consensus alone: raft-campaign.test.ts. */
import assert from "node:assert/strict";
import { runPart, secondsOf, type CampaignPart } from "./env-node/campaign-process.js";
import { runWorld, type WorldReport } from "./world/sim-world.js";

const SEEDS = 40;
const PROCESSES = 2;
/** 40 s on two idle cores; machines are shared. */
const TIMEOUT_MS = 8 * 60_000;

/** Every world has at least one of each. */
const IN_EVERY_WORLD = ["crash", "partition", "membership"];
/** A campaign in which one of these never happens tests less than it says. */
const SOMETIMES = [
  ...[
    "crash",
    "kill",
    "powerFailure",
    "partition",
    "oneWay",
    "reset",
    "pause",
    "loss",
    "slowDisk",
    "diskError",
    "clockJump",
  ],
  ...["transfer", "membership", "split", "storm", "stormyLeader", "figureEight4", "cutAtOldCommit"],
];
const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** What a world lacks or did wrong; nothing if it is sound. */
function judge({ seed, failure, virtualMs, operations, faults }: WorldReport): string[] {
  const findings: string[] = [];
  if (failure !== undefined) findings.push(failure);
  if (virtualMs < 10_000) findings.push(`lasted only ${virtualMs} ms of virtual time`);
  if (operations < 1_000) findings.push(`had only ${operations} operations`);
  for (const fault of IN_EVERY_WORLD) if ((faults[fault] ?? 0) === 0) findings.push(`had no ${fault}`);
  return findings.map((finding) => `seed ${seed}: ${finding}\n  SEED=${seed} npx mocha sim/src/campaign.test.ts`);
}

async function assertReplays(seed: number): Promise<WorldReport> {
  const first = await runWorld(seed);
  const second = await runWorld(seed);
  assert.deepEqual(second, first, `seed ${seed} does not replay: the world depends on something that is not its seed`);
  return first;
}

const given = process.env["SEED"];

if (given !== undefined) {
  describe(`world ${given}`, () => {
    it("holds every invariant and replays exactly", async function () {
      this.timeout(TIMEOUT_MS);
      const report = await assertReplays(Number(given));
      print(JSON.stringify(report, undefined, 2));
      assert.deepEqual(judge(report), []);
    });
  });
} else {
  describe("store campaign", () => {
    let abort: AbortController;

    beforeEach(() => {
      abort = new AbortController();
    });

    afterEach(() => {
      abort.abort();
    });

    const run = async (parts: readonly CampaignPart[], onReport: (report: WorldReport) => "stop" | undefined) => {
      await Promise.all(parts.map((part) => runPart(part, abort.signal, onReport)));
    };

    it(`${SEEDS} worlds hold every invariant, converge after healing, and are hard enough`, async function () {
      this.timeout(TIMEOUT_MS);
      const reports: WorldReport[] = [];
      const parts = Array.from({ length: PROCESSES }, (_, i) => ({
        from: i + 1,
        count: SEEDS / PROCESSES,
        step: PROCESSES,
      }));
      const seconds = await secondsOf(() => run(parts, (report) => void reports.push(report)));
      const faults = new Map<string, number>();
      for (const report of reports)
        for (const [name, count] of Object.entries(report.faults)) faults.set(name, (faults.get(name) ?? 0) + count);
      const sum = (of: (report: WorldReport) => number): number => reports.reduce((total, each) => total + of(each), 0);
      print(
        `${reports.length} worlds in ${seconds.toFixed(1)} s: ${Math.round(sum((r) => r.virtualMs) / 1000)} virtual seconds, ` +
          `${sum((r) => r.events)} events, ${sum((r) => r.operations)} operations, ${sum((r) => r.completed)} of them acknowledged`,
      );
      print(
        [...faults]
          .toSorted(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, count]) => `${name} ${count}`)
          .join(", "),
      );
      const findings = reports.toSorted((a, b) => a.seed - b.seed).flatMap(judge);
      assert(findings.length === 0, findings.join("\n"));
      assert.equal(new Set(reports.map(({ seed }) => seed)).size, SEEDS);
      const missing = SOMETIMES.filter((name) => !faults.has(name));
      assert.deepEqual(missing, [], "these never happened in the whole campaign");
    });

    it("the same seed gives the same world", async function () {
      this.timeout(TIMEOUT_MS);
      for (const seed of [3, 6]) await assertReplays(seed);
    });
  });
}
