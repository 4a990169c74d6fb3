import { spawn } from "node:child_process";
import { delimiter, join } from "node:path";
import { ROOT } from "./setup.mjs";

/**
 * Runs one command and gathers what it prints.
 *
 * @param {readonly string[]} command the program (those of node_modules/.bin are found; `node` is this Node) and its arguments
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options] `cwd`: default the root of the repository; `env`: added to this process's
 * @returns {Promise<{ ok: boolean, output: string, seconds: number }>} `output` has both streams, in order of arrival
 */
export function runCommand([program = "", ...args], { cwd = ROOT, env = {} } = {}) {
  const started = performance.now();
  return new Promise((resolve) => {
    /** @type {Buffer[]} */
    const chunks = [];
    const finish = (/** @type {boolean} */ ok, /** @type {string} */ note) =>
      resolve({ ok, output: Buffer.concat(chunks).toString() + note, seconds: (performance.now() - started) / 1000 });
    const child = spawn(program === "node" ? process.execPath : program, args, {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        PATH: `${join(ROOT, "node_modules", ".bin")}${delimiter}${process.env.PATH ?? ""}`,
        ...env,
      },
    });
    child.stdout.on("data", (/** @type {Buffer} */ chunk) => chunks.push(chunk));
    child.stderr.on("data", (/** @type {Buffer} */ chunk) => chunks.push(chunk));
    child.on("error", (error) => finish(false, `${program}: ${error.message}\n`));
    child.on("close", (code, signal) => finish(code === 0, signal === null ? "" : `${program} ended by ${signal}\n`));
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
