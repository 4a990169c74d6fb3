import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { SetupError, tail } from "./setup-error.mjs";

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
  for (const [folder, entry] of Object.entries(wanted)) {
    if (folder === "" || folder.includes("node_modules/")) continue;
    for (const name of binsOf(join(root, folder), entry)) {
      if (!existsSync(join(root, "node_modules", ".bin", name))) return `the command ${name} is not linked`;
    }
  }
  return undefined;
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
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--include=dev", "--engine-strict=false"];
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
    throw new SetupError(
      `\`npm ${args.join(" ")}\` failed:\n${tail(`${result.stdout}${result.stderr}`)}`,
      "check that this machine reaches its npm registry (`npm ping`) and that the disk has space, then try again",
    );
  }
  process.stderr.write(`installed in ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
}

/**
 * @typedef {{ version?: string, resolved?: string, link?: boolean, optional?: boolean, peer?: boolean, bin?: unknown }} LockEntry
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

/**
 * @param {string} folder
 * @param {LockEntry} entry
 */
function binsOf(folder, entry) {
  if (entry.bin && typeof entry.bin === "object") return Object.keys(entry.bin);
  try {
    const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    return bin && typeof bin === "object" ? Object.keys(bin) : [];
  } catch {
    return [];
  }
}
