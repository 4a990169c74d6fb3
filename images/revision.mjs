// Another commit of this repository as a built checkout of its own, to make its image: what an upgrade comes from.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { runInstall } from "../scripts/setup/install.mjs";
import { workspaces } from "../scripts/setup/workspaces.mjs";

/**
 * Asks git; undefined where it has no answer (no git, no repository, no such commit).
 *
 * @param {string} root
 * @param {readonly string[]} args
 * @returns {string | undefined}
 */
export function git(root, args) {
  const { status, stdout } = spawnSync("git", ["-C", root, ...args], { encoding: "utf8", maxBuffer: 64 << 20 });
  return status === 0 ? stdout.trim() : undefined;
}

/**
 * Checks a commit out into a temporary directory, builds it there and gives it to `use`; then removes it. The installed packages of
 * `root` serve where the lock file is the same.
 *
 * @template T
 * @param {string} root
 * @param {string} commit a full hash
 * @param {(checkout: string) => T} use
 * @returns {T}
 */
export function withRevision(root, commit, use) {
  const checkout = mkdtempSync(join(tmpdir(), "rhea-revision-"));
  try {
    unpack(root, commit, checkout);
    const lock = (/** @type {string} */ folder) => readFileSync(join(folder, "package-lock.json"), "utf8");
    if (lock(root) === lock(checkout)) linkPackages(root, checkout);
    else runInstall(checkout, `the lock file of ${commit.slice(0, 10)} is another one`);
    build(checkout);
    return use(checkout);
  } finally {
    rmSync(checkout, { recursive: true, force: true });
  }
}

/**
 * @param {string} root
 * @param {string} commit
 * @param {string} checkout
 */
function unpack(root, commit, checkout) {
  const archive = join(checkout, "checkout.tar");
  mustRun(["git", "-C", root, "archive", "--format=tar", `--output=${archive}`, commit], root);
  mustRun(["tar", "-xf", archive, "-C", checkout], root);
  rmSync(archive);
}

/**
 * Compiles without checking types, in half the time: they were checked when the commit was made.
 *
 * @param {string} checkout
 */
function build(checkout) {
  const tsc = join("node_modules", "typescript", "bin", "tsc");
  mustRun([process.execPath, tsc, "-b", "--noCheck"], checkout);
}

/**
 * @param {readonly string[]} command
 * @param {string} cwd
 */
function mustRun([program = "", ...args], cwd) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: "utf8", maxBuffer: 64 << 20 });
  if (status === 0) return;
  throw new Error(`${program} ${args.join(" ")} failed: ${error?.message ?? `${stdout}${stderr}`}`);
}

/**
 * Gives a checkout the installed packages of another one: a link for each, but those of our own to its own folders.
 *
 * @param {string} root
 * @param {string} checkout
 */
function linkPackages(root, checkout) {
  const link = (/** @type {string} */ from, /** @type {string} */ to) => {
    mkdirSync(dirname(to), { recursive: true });
    symlinkSync(from, to);
  };
  const modules = join(root, "node_modules");
  for (const name of readdirSync(modules)) {
    if (name === "@rhea" || name.startsWith(".")) continue;
    link(join(modules, name), join(checkout, "node_modules", name));
  }
  for (const folder of workspaces(checkout)) {
    link(join(checkout, folder), join(checkout, "node_modules", "@rhea", folder));
    const own = join(root, folder, "node_modules");
    if (existsSync(own)) link(own, join(checkout, folder, "node_modules"));
  }
}
