/**
 * `npm run bench -- [NAME] [flags]`: runs one benchmark; without a name, `cluster`. README.md says what each measures. All of them end with
 * exit code 1 when they fail; only `cluster` also does when a figure is not even half met.
 */
const BENCHMARKS: Readonly<Record<string, () => Promise<unknown>>> = {
  cluster: () => import("./cluster.js"),
  "raft-throughput": () => import("./raft-throughput.js"),
  "raft-read-index": () => import("./raft-read-index.js"),
  "raft-idle": () => import("./raft-idle.js"),
  "raft-failover": () => import("./raft-failover.js"),
  "raft-log-open": () => import("./raft-log-open.js"),
};

const given = process.argv[2];
const name = given === undefined || given.startsWith("--") ? "cluster" : given;
const run = BENCHMARKS[name];
if (run === undefined) {
  process.stderr.write(`no benchmark ${name}: there are ${Object.keys(BENCHMARKS).join(", ")}\n`);
  process.exitCode = 2;
} else {
  // What is left are the benchmark's own flags.
  if (name === given) process.argv.splice(2, 1);
  await run();
}
