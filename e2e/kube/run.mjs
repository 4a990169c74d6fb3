// `npm run test:kube`: the end-to-end tests on a real Kubernetes. Builds the project, the cluster and the image, runs the stories of
// specs/ inside the cluster's network, removes everything and ends with `N passed, N failed`. README.md here says how to write one.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runAtMost } from "../../scripts/run-command.mjs";
import { ROOT, setupOrExit } from "../../scripts/setup.mjs";
import { readOptions } from "./options.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const CLUSTER = join(HERE, "cluster", "cluster");
const REPORT = join(ROOT, ".cache", "kube-report");
/** Where the cluster tool keeps its clusters. */
const CLUSTERS = join(
  process.env.KUBE_E2E_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "kube-e2e"),
  "clusters",
);
const STORY_LIMIT_MS = 20 * 60_000;
const TEST_LIMIT_MS = 5 * 60_000;
const OWN_NAME = /^rhea(\d+)$/;

const options = readOptions();
const given = process.env.KUBECONFIG;
const name = options.cluster ?? `rhea${process.pid}`;
const started = performance.now();
const scratch = mkdtempSync(join(tmpdir(), "rhea-kube-"));
/** @type {Set<import("node:child_process").ChildProcess>} */
const children = new Set();
let isInterrupted = false;
let isUp = false;

const say = (/** @type {string} */ text) => console.log(`[${sinceStart()}] ${text}`);

function sinceStart() {
  const seconds = Math.round((performance.now() - started) / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Why it cannot run here, or undefined. */
function obstacle() {
  if (given !== undefined)
    return process.env.RHEA_IMAGE ? undefined : "KUBECONFIG is set, but not RHEA_IMAGE, the image to test";
  if (process.platform !== "linux")
    return `the cluster needs Linux, this is ${process.platform}: set KUBECONFIG to use one`;
  if (process.getuid?.() !== 0) return "the cluster needs root: run it as root, or set KUBECONFIG to use another one";
  if (!existsSync("/usr/bin/dpkg")) return "the cluster is built on Debian: set KUBECONFIG to use another one";
  if (spawnSync("go", ["version"]).status !== 0) return "the cluster is built with Go, which is not installed";
  if (existsSync("/sys/fs/cgroup/cgroup.controllers"))
    return "the cluster knows cgroup v1 only, this machine has v2: set KUBECONFIG";
  return undefined;
}

/**
 * Runs a command with our outputs; resolves with whether it ended well. Its input is empty, so that nothing can wait for an answer.
 *
 * @param {readonly string[]} command
 * @param {{ env?: NodeJS.ProcessEnv, prefix?: string, limitMs?: number }} [how] `prefix`: gathers the output and prints it at the end
 */
function run([program = "", ...args], { env = {}, prefix, limitMs } = {}) {
  return /** @type {Promise<boolean>} */ (
    new Promise((resolve) => {
      const out = prefix === undefined ? "inherit" : "pipe";
      const child = spawn(program, args, { cwd: ROOT, stdio: ["ignore", out, out], env: { ...process.env, ...env } });
      children.add(child);
      const timer = limitMs === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), limitMs);
      let said = "";
      const hear = (/** @type {Buffer} */ chunk) => (said += chunk.toString());
      child.stdout?.on("data", hear);
      child.stderr?.on("data", hear);
      child.once("error", (error) => hear(Buffer.from(`${program}: ${error.message}\n`)));
      child.once("close", (code, signal) => {
        clearTimeout(timer);
        children.delete(child);
        if (prefix !== undefined) console.log(`${prefix}\n${said.trimEnd()}`);
        if (signal === "SIGKILL" && limitMs !== undefined)
          console.log(`    stopped: not done after ${limitMs / 1000} s`);
        resolve(code === 0);
      });
    })
  );
}

/**
 * Runs a step that everything after depends on.
 *
 * @param {string} what
 * @param {readonly string[]} command
 */
async function step(what, command) {
  say(what);
  if (!(await run(command, { env: { KUBE_E2E_NAME: name } }))) throw new Error(`${what}: failed`);
  if (isInterrupted) throw new Error("interrupted");
}

/** The chosen spec files: those that may run beside others, then those that may not. */
function specs() {
  const files = readdirSync(join(HERE, "specs"))
    .filter((file) => file.endsWith(".kube.ts"))
    .filter((file) => options.only.length === 0 || options.only.some((text) => file.includes(text)))
    .sort();
  const isAlone = (/** @type {string} */ file) => file.endsWith(".alone.kube.ts");
  return { shared: files.filter((file) => !isAlone(file)), alone: files.filter(isAlone) };
}

/** Removes clusters that earlier runs left when they were killed. */
async function removeLeftovers() {
  for (const found of existsSync(CLUSTERS) ? readdirSync(CLUSTERS) : []) {
    const pid = OWN_NAME.exec(found)?.[1];
    if (pid === undefined || existsSync(join("/proc", pid))) continue;
    say(`removes the cluster ${found} of a run that was killed`);
    await run([CLUSTER, "down", "--name", found]);
  }
}

/** Removes what stories of an earlier run left on a cluster that is used again. */
async function removeKept() {
  const command = [
    "kubectl",
    "delete",
    "namespaces",
    "-l",
    "rheakv.io/e2e=story",
    "--ignore-not-found",
    "--timeout=120s",
  ];
  await step("remove what an earlier run left", [CLUSTER, "exec", ...command]);
}

/**
 * The image of this commit, and of the one before where a story upgrades; both on every node.
 *
 * @param {readonly string[]} files
 * @returns {Promise<NodeJS.ProcessEnv>} what tells the specs
 */
async function images(files) {
  const build = (/** @type {string} */ tag, /** @type {string[]} */ ...more) => {
    const out = join(scratch, `${tag}.tar`);
    return { out, command: [process.execPath, join(ROOT, "images", "build.mjs"), "--tag", tag, "--out", out, ...more] };
  };
  const now = build("e2e", ...(options.build ? [] : ["--no-build"]));
  await step("image", now.command);
  await step("load the image", [CLUSTER, "load", now.out]);
  rmSync(now.out);
  if (!files.some((file) => file.includes("upgrade"))) return { RHEA_IMAGE: "rhea:e2e" };
  const hasParent = spawnSync("git", ["-C", ROOT, "rev-parse", "--verify", "--quiet", "HEAD~1"]).status === 0;
  if (!hasParent) {
    say("no commit before this one (a shallow clone?): upgrades are skipped");
    return { RHEA_IMAGE: "rhea:e2e" };
  }
  const before = build("before", "--rev", "HEAD~1");
  await step("image of the commit before", before.command);
  await step("load it", [CLUSTER, "load", before.out]);
  rmSync(before.out);
  return { RHEA_IMAGE: "rhea:e2e", RHEA_PREVIOUS_IMAGE: "rhea:before" };
}

/** @typedef {{ title: string, passed: number, failed: number, skipped: number, ms: number, notes: { what: string, value: string }[] }} Result */

/**
 * Runs one story in a process of its own.
 *
 * @param {string} file
 * @param {NodeJS.ProcessEnv} env
 * @param {boolean} isGathered whether its output waits for its end, because others run beside it
 * @returns {Promise<Result>}
 */
async function runSpec(file, env, isGathered) {
  const title = file.replace(/(?:\.alone)?\.kube\.ts$/, "");
  const [result, notes] = [join(scratch, `${title}.json`), join(scratch, `${title}.notes`)];
  const begun = performance.now();
  const mocha = [
    ...[process.execPath, "--import=tsx", join("node_modules", "mocha", "bin", "mocha.js")],
    ...["--no-config", "--bail", "--exit", "--forbid-only", "--timeout", String(TEST_LIMIT_MS)],
    ...["--reporter", join(HERE, "reporter.cjs")],
    ...(options.grep === undefined ? [] : ["--fgrep", options.grep]),
    join(HERE, "specs", file),
  ];
  if (!isGathered) console.log(`\n  ${title}`);
  const ok = await run(given === undefined ? [CLUSTER, "exec", ...mocha] : mocha, {
    env: {
      ...env,
      ...(given === undefined ? { KUBE_E2E_NAME: name } : {}),
      ...(options.keep ? { RHEA_KUBE_KEEP: "1" } : {}),
      ...{ RHEA_KUBE_SPEC: title, RHEA_KUBE_RESULT: result, RHEA_KUBE_NOTES: notes, RHEA_KUBE_REPORT: REPORT },
    },
    ...(isGathered ? { prefix: `\n  ${title}` } : {}),
    limitMs: STORY_LIMIT_MS,
  });
  const counted = readJson(result) ?? { passed: 0, failed: 0, skipped: 0, ms: performance.now() - begun };
  if (!ok && counted.failed === 0) {
    counted.failed = 1;
    console.log(`    FAILED  ${title}: the process did not end well`);
    // It could not undo what it did to nodes: the next story gets a whole cluster.
    if (given === undefined && !isInterrupted) {
      for (let node = 1; node <= options.nodes; node++) await run([CLUSTER, "heal", "--name", name, String(node)]);
      await run([CLUSTER, "up", "--name", name, "--nodes", String(options.nodes)]);
    }
  }
  const lines = existsSync(notes) ? readFileSync(notes, "utf8").trimEnd().split("\n") : [];
  return { title, ...counted, notes: lines.map((line) => JSON.parse(line)) };
}

/** @param {string} path */
function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

/** @returns {Promise<Result[]>} */
async function runAll() {
  const { shared, alone } = specs();
  if (shared.length + alone.length === 0) throw new Error(`no spec file contains ${options.only.join(" or ")}`);
  rmSync(REPORT, { recursive: true, force: true });
  mkdirSync(REPORT, { recursive: true });
  let env = { RHEA_IMAGE: process.env.RHEA_IMAGE, RHEA_PREVIOUS_IMAGE: process.env.RHEA_PREVIOUS_IMAGE };
  if (given === undefined) {
    await removeLeftovers();
    await step("Kubernetes: build", [CLUSTER, "build"]);
    isUp = true;
    await step(`Kubernetes: start ${options.nodes} nodes`, [CLUSTER, "up", "--nodes", String(options.nodes)]);
    if (options.cluster !== undefined) await removeKept();
    env = { ...env, ...(await images([...shared, ...alone])) };
  }
  say(`${shared.length + alone.length} stories`);
  /** @type {Result[]} */
  const results = [];
  const story = (/** @type {boolean} */ isGathered) => async (/** @type {string} */ file) => {
    if (!isInterrupted) results.push(await runSpec(file, env, isGathered));
  };
  await runAtMost(options.lanes, shared, story(options.lanes > 1));
  await runAtMost(1, alone, story(false));
  return results.sort((a, b) => (a.title < b.title ? -1 : 1));
}

async function down() {
  if (!isUp) return;
  if (options.keep) {
    say(`the cluster ${name} is up:`);
    console.log(`  KUBE_E2E_NAME=${name} ${CLUSTER} exec kubectl get pods -A`);
    console.log(`  npm run test:kube -- --cluster ${name} --only TEXT`);
    console.log(`  KUBE_E2E_NAME=${name} ${CLUSTER} down`);
    return;
  }
  say("Kubernetes: stop");
  // In a group of its own: a second Ctrl-C must not leave half of a cluster.
  const command = ["--wait", CLUSTER, "down", "--name", name];
  spawnSync("setsid", command, { stdio: ["ignore", "inherit", "inherit"] });
  rmSync(join(CLUSTERS, `${name}.lock`), { force: true });
  isUp = false;
}

/** @param {readonly Result[]} results */
function printTable(results) {
  console.log("\n  story                              tests      time");
  for (const { title, passed, failed, skipped, ms, notes } of results) {
    const verdict = failed > 0 ? "FAILED" : skipped > 0 ? `${passed} ok, ${skipped} skipped` : `${passed} ok`;
    console.log(`  ${title.padEnd(32)} ${verdict.padStart(8)} ${(ms / 1000).toFixed(1).padStart(7)} s`);
    for (const { what, value } of notes) console.log(`      ${what}: ${value}`);
  }
}

const reason = obstacle();
if (reason !== undefined) {
  console.log(`skipped: ${reason}`);
  console.log("0 passed, 0 failed, 1 skipped");
  process.exit(0);
}
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
  process.on(signal, () => {
    isInterrupted = true;
    for (const child of children) child.kill("SIGTERM");
  });
}
const totals = { passed: 0, failed: 0, skipped: 0 };
try {
  say("build");
  await setupOrExit({ build: options.build });
  const results = await runAll();
  for (const { passed, failed, skipped } of results) {
    totals.passed += passed;
    totals.failed += failed;
    totals.skipped += skipped;
  }
  if (isInterrupted) throw new Error("interrupted");
  printTable(results);
} catch (error) {
  totals.failed++;
  console.log(`FAILED  ${/** @type {Error} */ (error).message}`);
} finally {
  await down();
  rmSync(scratch, { recursive: true, force: true });
}
say("done");
const { passed, failed, skipped } = totals;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed > 0 ? 1 : 0;
