// What the commands in */bin do: run the built main of their package, building it first in a fresh clone.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT, setupOrExit } from "./setup.mjs";

/**
 * Runs a built main with this process's arguments. An existing build is taken as it is (`npm run build` refreshes it): a command must
 * not stop working because a source file is being edited.
 *
 * @param {string} main path from the root, such as `cli/dist/bin/rheactl.js`
 * @param {{ threads?: number }} [options] `threads`: the size of libuv's thread pool. It must be set before Node starts, so the main
 *   runs as a child then; its exit code and signals are passed on. Without it the main runs in this process.
 */
export async function launch(main, { threads } = {}) {
  const path = join(ROOT, main);
  const isBuilt = () => existsSync(path) && existsSync(join(ROOT, ".cache", "build.stamp"));
  if (!isBuilt()) await setupOrExit();
  if (!existsSync(path)) {
    process.stderr.write(`${main} does not exist even after a build: this version does not have that command\n`);
    process.exit(1);
  }
  if (threads === undefined || process.env.UV_THREADPOOL_SIZE !== undefined) {
    process.argv[1] = path;
    await import(pathToFileURL(path).href);
    return;
  }
  const child = spawn(process.execPath, [path, ...process.argv.slice(2)], {
    stdio: "inherit",
    env: { ...process.env, UV_THREADPOOL_SIZE: String(threads) },
  });
  for (const signal of /** @type {const} */ (["SIGTERM", "SIGHUP"])) process.on(signal, () => child.kill(signal));
  process.on("SIGINT", () => {}); // a terminal sends it to the child as well; the child decides
  child.on("error", (error) => {
    process.stderr.write(`${main}: ${error.message}\n`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
