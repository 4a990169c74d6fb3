/**
 * The campaign of every test run: worlds that must hold, and planted bugs that must be caught. `SEED=n` runs that world alone and tells its
 * story, `RHEA_SEEDS=n` runs that many.
 */
import assert from "node:assert/strict";
import { runSeed, type Mutation, type RunReport } from "./index.js";

/** A share of about 30 s on one core. */
const SEEDS = Number(process.env["RHEA_SEEDS"] ?? 24);
const FIRST = Number(process.env["RHEA_FIRST_SEED"] ?? 1);
const TIMEOUT_MS = Math.max(5 * 60_000, SEEDS * 5_000);

/** A campaign in which one of these never happens tests less than it says. */
const SOMETIMES = [
  "killed by its own write",
  "eviction refused",
  "volume lost",
  "claim deleted by hand",
  "node removed",
  "watch silent",
];

/** Planted bugs, and worlds that caught them last; the others up to 14 run only if these do not any more. */
const PLANTED: readonly { readonly mutation: Mutation; readonly seeds: readonly number[] }[] = [
  { mutation: "writesSpec", seeds: [1] },
  { mutation: "deletesVolumesEarly", seeds: [12, 1, 8, 11] },
  { mutation: "killsAtOnce", seeds: [9, 10, 11] },
  { mutation: "forgetsOrdinals", seeds: [4, 1] },
  { mutation: "noReplacementCap", seeds: [3] },
];
const OTHERS = Array.from({ length: 14 }, (_, index) => index + 1);

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const replay = (seed: number): string => `SEED=${seed} npx mocha operator/src/platforms/simulated/campaign.test.ts`;

const given = process.env["SEED"];

if (given !== undefined) {
  describe(`simulated kubernetes, seed ${given}`, () => {
    it("holds every invariant, converges and replays exactly", async function () {
      this.timeout(TIMEOUT_MS);
      const report = await runSeed(Number(given), { trace: print });
      const { failure, ...again } = await runSeed(Number(given));
      assert.deepEqual(
        { ...again, ...(failure === undefined ? {} : { failure }) },
        report,
        "the world depends on something that is not its seed",
      );
      assert.equal(report.failure, undefined);
    });
  });
} else {
  describe("simulated kubernetes", () => {
    it(`${SEEDS} worlds hold every invariant and converge after healing`, async function () {
      this.timeout(TIMEOUT_MS);
      const reports: RunReport[] = [];
      for (let seed = FIRST; seed < FIRST + SEEDS; seed++) reports.push(await runSeed(seed));
      const marks = new Map<string, number>();
      for (const report of reports)
        for (const [name, count] of Object.entries(report.marks)) marks.set(name, (marks.get(name) ?? 0) + count);
      const minutes = Math.round(reports.reduce((sum, { virtualMs }) => sum + virtualMs, 0) / 60_000);
      const operators = reports.reduce((sum, report) => sum + report.operators, 0);
      print(
        `${reports.length} worlds, ${minutes} virtual minutes, ${operators} operators; ${[...marks].map(([name, count]) => `${name} ${count}`).join(", ")}`,
      );
      const failed = reports.flatMap(({ seed, failure }) =>
        failure === undefined ? [] : [`seed ${seed}: ${failure}\n  ${replay(seed)}`],
      );
      assert.deepEqual(failed, [], failed.join("\n"));
      const missing = SOMETIMES.filter((name) => !marks.has(name));
      assert.deepEqual(missing, [], "these never happened in the whole campaign");
    });

    it("an hour in which nothing happens costs no write, no list and few watches", async function () {
      this.timeout(TIMEOUT_MS);
      const { failure } = await runSeed(FIRST, { restsAnHour: true });
      assert.equal(failure, undefined, replay(FIRST));
    });

    for (const { mutation, seeds } of PLANTED) {
      it(`notices the planted bug ${mutation}`, async function () {
        this.timeout(TIMEOUT_MS);
        for (const seed of new Set([...seeds, ...OTHERS])) {
          const { failure } = await runSeed(seed, { mutation });
          if (failure === undefined) continue;
          print(`${mutation}: seed ${seed} says ${failure.slice(0, 200)}`);
          return;
        }
        assert.fail(`none of the first ${OTHERS.length} seeds notices ${mutation}`);
      });
    }
  });
}
