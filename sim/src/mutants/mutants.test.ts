/** The planted bugs: each must still fit the source, and be caught within the seeds that the README states. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { secondsOf } from "../env-node/campaign-process.js";
import { dayOfMonth } from "../env-node/deadline.js";
import { catchMutant } from "../env-node/raft-campaign-process.js";
import { MUTANTS, type Mutant } from "./index.js";

const ROOT = new URL("../../../", import.meta.url);
const PROCESSES = 2;
const TIMEOUT_MS = 15 * 60_000;

/** `RHEA_MUTANTS`: "all", or names with commas between. Default: the third of the list whose turn it is by the day. */
function chosen(): readonly Mutant[] {
  const wanted = process.env["RHEA_MUTANTS"];
  if (wanted === "all") return MUTANTS;
  if (wanted !== undefined) return MUTANTS.filter(({ name }) => wanted.split(",").includes(name));
  const turn = dayOfMonth() % THIRDS;
  return MUTANTS.filter((_, i) => i % THIRDS === turn);
}

const THIRDS = 3;

describe("planted bugs", () => {
  it("each fits the present source: the text it replaces stands there once", () => {
    const stale = MUTANTS.flatMap(({ name, file, find }) => {
      const count = readFileSync(fileURLToPath(new URL(file, ROOT)), "utf8").split(find).length - 1;
      return count === 1 ? [] : [`${name}: its text stands ${count} times in ${file}`];
    });
    assert.deepEqual(stale, []);
    assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
    assert(MUTANTS.length >= 30);
  });

  if (process.env["SEED"] === undefined)
    it("each is caught within its number of seeds", async function () {
      this.timeout(TIMEOUT_MS);
      const abort = new AbortController();
      const queue = [...chosen()];
      const missed: string[] = [];
      const found: string[] = [];
      const work = async (): Promise<void> => {
        for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
          const report = await catchMutant(mutant, abort.signal);
          if (report === undefined) missed.push(`${mutant.name}: none of ${mutant.caughtWithin} seeds notices it`);
          else found.push(`${mutant.name} ${report.seed}`);
        }
      };
      try {
        const seconds = await secondsOf(async () => {
          await Promise.all(Array.from({ length: PROCESSES }, work));
        });
        process.stdout.write(`caught by seed, in ${seconds.toFixed(1)} s: ${found.toSorted().join(", ")}\n`);
      } finally {
        abort.abort();
      }
      assert.deepEqual(missed, []);
    });
});
