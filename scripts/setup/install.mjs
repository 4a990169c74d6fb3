import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { SetupError } from "./setup-error.mjs";
import { workspaces } from "./workspaces.mjs";

/**
 * Says why the dependencies must be installed, or undefined when they are as the lock file wants them. npm notes what it installed in
 * `node_modules/.package-lock.json`, at the very end: comparing that with the lock file needs no stamp of our own, sees an interrupted
 * install, and accepts an install made by hand.
 *
 * @param {string} root
 * @returns {string | undefined}
 */
export function installIsStale(root) {
  const wanted = readPackages(join(root, "package-lock.json"));
  if (wanted === undefined)
    throw new SetupError("package-lock.json is missing or unreadable", "restore it: `git checkout package-lock.json`");
  const installed = readPackages(join(root, "node_modules", ".package-lock.json"));
  if (installed === undefined) return "nothing is installed yet";
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.startsWith("node_modules/") && !path.includes("/node_modules/")) continue; // the workspaces themselves
    const found = installed[path];
    if (found === undefined) {
      if (entry.optional || entry.peer) continue;
      return `${path} is missing`;
    }
    if (found.version !== entry.version) return `${path} is not the locked version`;
    if (entry.link && !existsSync(join(root, path))) return `${path} is missing`;
  }
  return undefined;
}

/**
 * Tells whether a command of one of the packages (its `bin`) is missing from node_modules/.bin: a package has got a new one.
 *
 * @param {string} root
 */
export function commandsAreMissing(root) {
  return workspaces(root).some((folder) => {
    const { bin = {} } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
    return Object.keys(bin).some((name) => !existsSync(join(root, "node_modules", ".bin", name)));
  });
}

/**
 * Installs exactly what the lock file says.
 *
 * @param {string} root
 * @param {string} reason why, for the reader
 * @throws {SetupError}
 */
export function runInstall(root, reason) {
  process.stderr.write(`installing dependencies (${reason}), this takes about a minute...\n`);
  const started = Date.now();
  // Node's version has been checked already; npm would refuse odd-numbered releases that work.
  runNpm(root, ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--include=dev", "--engine-strict=false"]);
  process.stderr.write(`installed in ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
}

/**
 * Links the packages' commands into node_modules/.bin.
 *
 * @param {string} root
 * @throws {SetupError}
 */
export function linkCommands(root) {
  runNpm(root, ["rebuild", "--ignore-scripts"]);
}

/**
 * @param {string} root
 * @param {readonly string[]} args
 */
function runNpm(root, args) {
  // Under `npm run` the variable names the very npm that runs us.
  const npm = process.env.npm_execpath;
  const [command, before] = npm && basename(npm).startsWith("npm") ? [process.execPath, [npm]] : ["npm", []];
  const result = spawnSync(command, [...before, ...args], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 << 20,
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (result.error) {
    throw new SetupError(
      `npm cannot be run: ${result.error.message}`,
      "install npm (it comes with Node), then try again",
    );
  }
  if (result.status !== 0) {
    const errors = `${result.stdout}\n${result.stderr}`.split("\n").filter((line) => line.startsWith("npm error"));
    throw new SetupError(
      `\`npm ${args.join(" ")}\` failed:\n${errors.slice(0, 25).join("\n")}`,
      "check that this machine reaches its npm registry (`npm ping`) and that the disk has space, then try again",
    );
  }
}

/**
 * @typedef {{ version?: string, resolved?: string, link?: boolean, optional?: boolean, peer?: boolean }} LockEntry
 *
 * @param {string} path
 * @returns {Record<string, LockEntry> | undefined}
 */
function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).packages;
  } catch {
    return undefined;
  }
}
