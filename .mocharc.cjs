// `npx mocha 'raft/src/**/*.test.ts'` runs some tests; scripts/test.mjs runs all of them.
module.exports = {
  "node-option": ["conditions=rhea-source", "import=tsx"],
  require: ["./scripts/mocha/setup.mjs"],
  reporter: "./scripts/mocha/reporter.cjs",
  timeout: 20_000,
  slow: 1_000,
  diff: false, // node:assert prints its own
};
