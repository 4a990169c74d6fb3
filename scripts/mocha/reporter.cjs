// The reporter of every mocha run: a dot per test would say nothing, so it prints one line per file's top suite, every failure in
// full, every skipped test by name, and at the very end `N passed, N failed`.
const { writeFileSync } = require("node:fs");
const Mocha = require("mocha");

const { EVENT_RUN_END, EVENT_TEST_PASS, EVENT_TEST_FAIL, EVENT_TEST_PENDING } = Mocha.Runner.constants;
const SLOW_MS = 1_000;

/** Reports a run; with the environment variable RHEA_TEST_TOTALS it also writes the totals to that file, as JSON. */
module.exports = class ClosingLineReporter extends Mocha.reporters.Base {
  /**
   * @param {import("mocha").Runner} runner
   * @param {import("mocha").MochaOptions} options
   */
  constructor(runner, options) {
    super(runner, options);
    /** @type {Map<string, { passed: number, failed: number, ms: number }>} */
    const suites = new Map();
    /** @type {import("mocha").Test[]} */
    const skipped = [];
    /** @type {import("mocha").Test[]} */
    const slow = [];
    let passed = 0;
    let failed = 0;

    const suiteOf = (/** @type {import("mocha").Test | import("mocha").Hook} */ test) => {
      const title = test.titlePath()[0] ?? "";
      const suite = suites.get(title) ?? { passed: 0, failed: 0, ms: 0 };
      suites.set(title, suite);
      return suite;
    };
    runner.on(EVENT_TEST_PASS, (test) => {
      passed++;
      const suite = suiteOf(test);
      suite.passed++;
      suite.ms += test.duration ?? 0;
      if ((test.duration ?? 0) >= SLOW_MS) slow.push(test);
    });
    runner.on(EVENT_TEST_FAIL, (test) => {
      failed++; // a failing hook arrives here too, and counts as the failure it is
      suiteOf(test).failed++;
    });
    runner.on(EVENT_TEST_PENDING, (test) => {
      skipped.push(test);
    });
    runner.once(EVENT_RUN_END, () => {
      for (const [title, suite] of suites) {
        const verdict = suite.failed > 0 ? `${suite.failed} FAILED, ${suite.passed} passed` : `${suite.passed} passed`;
        console.log(`  ${title}: ${verdict} (${suite.ms} ms)`);
      }
      for (const test of slow) console.log(`  slow: ${test.fullTitle()} (${test.duration} ms)`);
      for (const test of skipped) console.log(`  skipped: ${test.fullTitle()}`);
      if (this.failures.length > 0) Mocha.reporters.Base.list(this.failures);
      const totals = { passed, failed, skipped: skipped.length };
      if (process.env.RHEA_TEST_TOTALS) writeFileSync(process.env.RHEA_TEST_TOTALS, JSON.stringify(totals));
      console.log(`${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}`);
    });
  }
};
