import { spawn } from "node:child_process";
import { delimiter, join } from "node:path";
import { ROOT } from "./setup.mjs";

const LEFT_BEHIND_MS = 5_000;

/**
 * Runs one command and gathers what it prints.
 *
 * @param {readonly string[]} command the program (those of node_modules/.bin are found; `node` is this Node) and its arguments
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, limitMs?: number }} [options] `cwd`: default the root of the repository; `env`:
 *   added to this process's environment; `limitMs`: how long it may take, default 15 minutes
 * @returns {Promise<{ ok: boolean, output: string, seconds: number }>} `output` has both streams, in order of arrival
 */
export function runCommand([program = "", ...args], { cwd = ROOT, env = {}, limitMs = 15 * 60_000 } = {}) {
  const started = performance.now();
  return new Promise((resolve) => {
    /** @type {Buffer[]} */
    const chunks = [];
    const finish = (/** @type {boolean} */ ok, /** @type {string} */ note) => {
      clearTimeout(limit);
      child.stdout.destroy();
      child.stderr.destroy();
      resolve({ ok, output: Buffer.concat(chunks).toString() + note, seconds: (performance.now() - started) / 1000 });
    };
    const child = spawn(program === "node" ? process.execPath : program, args, {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        PATH: `${join(ROOT, "node_modules", ".bin")}${delimiter}${process.env.PATH ?? ""}`,
        ...env,
      },
    });
    const limit = setTimeout(() => {
      chunks.push(Buffer.from(`\nstopped: not done after ${limitMs / 1000} s\n`));
      child.kill("SIGINT"); // mocha passes on no other signal to its child
    }, limitMs);
    child.stdout.on("data", (/** @type {Buffer} */ chunk) => chunks.push(chunk));
    child.stderr.on("data", (/** @type {Buffer} */ chunk) => chunks.push(chunk));
    child.on("error", (error) => finish(false, `${program}: ${error.message}\n`));
    const ended = (/** @type {number | null} */ code, /** @type {NodeJS.Signals | null} */ signal) =>
      finish(code === 0, signal === null ? "" : `${program} ended by ${signal}\n`);
    child.on("close", ended);
    // A process it left behind may hold the pipe open for ever: that must not hang us.
    child.on("exit", (code, signal) => setTimeout(ended, LEFT_BEHIND_MS, code, signal).unref());
  });
}

/**
 * Runs jobs, at most `limit` at once, in order of the list.
 *
 * @template T
 * @param {readonly T[]} jobs
 * @param {number} limit
 * @param {(job: T) => Promise<void>} run
 */
export async function runAtMost(limit, jobs, run) {
  const waiting = [...jobs];
  const worker = async () => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) await run(job);
  };
  await Promise.all(Array.from({ length: limit }, worker));
}
