import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SetupError } from "./setup-error.mjs";
import { workspaces } from "./workspaces.mjs";

const SHOWN_LINES = 40;
/** What a package's build reads, beside its package.json and tsconfig.json. */
const SOURCE_FOLDERS = ["src", "gen"];

/**
 * Tells whether any input of the build has changed since the last good one, by path, size and time of change.
 *
 * @param {string} root
 */
export function buildIsStale(root) {
  const folders = workspaces(root);
  if (folders.some((folder) => !existsSync(join(root, folder, "dist", ".tsbuildinfo")))) return true;
  try {
    return readFileSync(stampPath(root), "utf8") !== fingerprint(root, folders);
  } catch {
    return true;
  }
}

/**
 * Builds every package with `tsc -b` (which itself only does what is needed).
 *
 * @param {string} root
 * @throws {SetupError}
 */
export function runBuild(root) {
  process.stderr.write("building...\n");
  const started = Date.now();
  const before = fingerprint(root, workspaces(root)); // a file changed during the build makes the next one stale
  const result = spawnSync(process.execPath, [join("node_modules", "typescript", "bin", "tsc"), "-b"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 << 20,
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (result.status !== 0) {
    const output = `${result.stdout ?? ""}${result.stderr ?? ""}${result.error?.message ?? ""}`;
    throw new SetupError(
      `the build (\`tsc -b\`) failed:\n${output.trimEnd().split("\n").slice(0, SHOWN_LINES).join("\n")}`,
      "correct these errors, then try again",
    );
  }
  mkdirSync(join(root, ".cache"), { recursive: true });
  writeFileSync(stampPath(root), before);
  process.stderr.write(`built in ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
}

/** @param {string} root */
const stampPath = (root) => join(root, ".cache", "build.stamp");

/**
 * @param {string} root
 * @param {string[]} folders
 */
function fingerprint(root, folders) {
  const hash = createHash("sha1");
  const addFile = (/** @type {string} */ path) => {
    const { mtimeMs, size } = statSync(path);
    hash.update(`${path}:${mtimeMs}:${size}\n`);
  };
  const addFolder = (/** @type {string} */ path) => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      const child = join(path, entry.name);
      if (entry.isDirectory()) addFolder(child);
      else addFile(child);
    }
  };
  for (const name of ["tsconfig.json", "tsconfig.base.json", "package-lock.json"]) addFile(join(root, name));
  for (const folder of folders) {
    for (const name of ["package.json", "tsconfig.json"]) addFile(join(root, folder, name));
    for (const name of SOURCE_FOLDERS) {
      const path = join(root, folder, name);
      if (existsSync(path)) addFolder(path);
    }
  }
  return hash.digest("hex");
}
