// The reporter of one story: each test with its time as it ends, each failure in full. Totals and measured values go to the file that
// RHEA_KUBE_RESULT names, for run.mjs.
const { writeFileSync } = require("node:fs");
const Mocha = require("mocha");

const { EVENT_RUN_END, EVENT_TEST_PASS, EVENT_TEST_FAIL, EVENT_TEST_PENDING, EVENT_TEST_BEGIN } =
  Mocha.Runner.constants;

const seconds = (/** @type {number} */ ms) => `${(ms / 1000).toFixed(1)} s`;

module.exports = class StoryReporter extends Mocha.reporters.Base {
  /**
   * @param {import("mocha").Runner} runner
   * @param {import("mocha").MochaOptions} options
   */
  constructor(runner, options) {
    super(runner, options);
    const started = performance.now();
    const totals = { passed: 0, failed: 0, skipped: 0 };
    let begun = started;
    runner.on(EVENT_TEST_BEGIN, () => {
      begun = performance.now();
    });
    runner.on(EVENT_TEST_PASS, (test) => {
      totals.passed++;
      console.log(`    ok      ${test.title} (${seconds(test.duration ?? 0)})`);
    });
    runner.on(EVENT_TEST_FAIL, (test) => {
      totals.failed++; // a failing hook arrives here too, and counts as the failure it is
      console.log(`    FAILED  ${test.title} (${seconds(performance.now() - begun)})`);
    });
    runner.on(EVENT_TEST_PENDING, (test) => {
      totals.skipped++;
      console.log(`    skipped ${test.title}`);
    });
    runner.once(EVENT_RUN_END, () => {
      if (this.failures.length > 0) Mocha.reporters.Base.list(this.failures);
      const ms = Math.round(performance.now() - started);
      if (process.env.RHEA_KUBE_RESULT) writeFileSync(process.env.RHEA_KUBE_RESULT, JSON.stringify({ ...totals, ms }));
    });
  }
};
