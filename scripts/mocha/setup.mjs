// Loaded by every mocha run (.mocharc.cjs). Shuffles files, suites and tests, so that no test leans on an earlier one, and gives
// fast-check the same seed. `SEED=n` replays a run: both the order and every generated value.
import { randomInt } from "node:crypto";
import fc from "fast-check";
import { seededShuffle } from "./shuffle.mjs";

const given = process.env.SEED;
if (given !== undefined && !/^\d{1,15}$/.test(given)) {
  throw new Error(`SEED=${given}: a seed is a whole number of at most 15 digits`);
}
const seed = given === undefined ? randomInt(1_000_000_000) : Number(given);

fc.configureGlobal({ seed: seed % 2 ** 31 });

export const mochaHooks = {
  /** @this {import("mocha").Context} */
  beforeAll() {
    const root = this.test?.parent;
    if (root) seededShuffle(root, seed);
  },
};

/** Prints the seed before the first test. */
export function mochaGlobalSetup() {
  process.stdout.write(`seed ${seed} (SEED=${seed} replays this order)\n`);
}
