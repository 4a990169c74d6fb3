// `npm test`: makes the clone ready, runs the checks, then every package's tests, and ends with `N passed, N failed` over all of them.
// `npm test -- raft store` runs the tests of these packages alone.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runChecks } from "./check.mjs";
import { runAtMost, runCommand } from "./run-command.mjs";
import { ROOT, setup } from "./setup.mjs";
import { workspaces } from "./setup/workspaces.mjs";
import { SetupError } from "./setup/setup-error.mjs";

const AT_ONCE = 2;
/** The simulator spreads its seeds over all cores itself, and whole clusters want their time: these run alone. */
const ALONE = ["sim", "e2e"];

const totals = { passed: 0, failed: 0, skipped: 0 };

/** Folders beside the packages that have tests, and where. e2e runs what has been built. */
const OTHERS = new Map([
  ["scripts", "scripts/**/*.test.mjs"],
  ["images", "images/*.test.mjs"],
  ["e2e", "e2e/**/*.test.ts"],
]);

/** @param {string} folder */
const specOf = (folder) => OTHERS.get(folder) ?? `${folder}/src/**/*.test.ts`;

/** @param {string} folder */
const hasTests = (folder) =>
  readdirSync(join(ROOT, OTHERS.has(folder) ? folder : join(folder, "src")), { recursive: true }).some((name) =>
    /\.test\.(?:ts|mjs)$/.test(String(name)),
  );

/**
 * Runs one package's tests in a process of their own and adds to the totals.
 *
 * @param {string} folder
 */
async function runTests(folder) {
  const scratch = mkdtempSync(join(tmpdir(), "rhea-test-"));
  const totalsFile = join(scratch, "totals.json");
  try {
    const { ok, output, seconds } = await runCommand(["mocha", "--forbid-only", specOf(folder)], {
      env: { RHEA_TEST_TOTALS: totalsFile },
    });
    console.log(`\n${folder} (${seconds.toFixed(1)} s)\n${output.trimEnd()}`);
    const counted = readTotals(totalsFile);
    totals.passed += counted.passed;
    totals.skipped += counted.skipped;
    totals.failed += counted.failed;
    if (!ok && counted.failed === 0) {
      totals.failed++;
      console.log(`FAILED  ${folder}: the test process did not end well`);
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** @param {string} path */
function readTotals(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
}

/**
 * @param {boolean} build
 * @returns {Promise<boolean>} whether the tests can run at all
 */
async function makeReady(build) {
  try {
    await setup({ build });
    return true;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    totals.failed++;
    console.log(error.message);
    return false;
  }
}

const chosen = process.argv.slice(2);
if (await makeReady(false)) {
  await makeReady(true); // most tests run from the sources: they are worth running even when the build fails
  if (chosen.length === 0) {
    const checks = await runChecks();
    totals.passed += checks.passed;
    totals.failed += checks.failed;
  }
  const folders = (chosen.length > 0 ? chosen : [...workspaces(ROOT), ...OTHERS.keys()]).filter(hasTests);
  await runAtMost(
    AT_ONCE,
    folders.filter((folder) => !ALONE.includes(folder)),
    runTests,
  );
  await runAtMost(
    1,
    folders.filter((folder) => ALONE.includes(folder)),
    runTests,
  );
}
console.log(
  `\n${totals.passed} passed, ${totals.failed} failed${totals.skipped > 0 ? `, ${totals.skipped} skipped` : ""}`,
);
process.exitCode = totals.failed > 0 ? 1 : 0;
