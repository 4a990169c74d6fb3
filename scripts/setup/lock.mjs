import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SetupError } from "./setup-error.mjs";

const POLL_MS = 100;
const GIVE_UP_MS = 15 * 60_000;
/** A lock without a pid is being written just now, unless it has been so for this long. */
const UNWRITTEN_MS = 5_000;

/**
 * Runs `work` while no other process on this machine does so in the same clone. The lock is a directory (making one is exclusive)
 * with the owner's pid; one whose owner is gone is broken.
 *
 * @param {string} root
 * @param {() => void | Promise<void>} work
 * @param {{ giveUpMs?: number }} [limits]
 * @throws {SetupError} when the owner does not finish within 15 minutes
 */
export async function withLock(root, work, { giveUpMs = GIVE_UP_MS } = {}) {
  const cache = join(root, ".cache");
  const lock = join(cache, "setup.lock");
  mkdirSync(cache, { recursive: true });
  const deadline = Date.now() + giveUpMs;
  let announced = false;
  while (!tryMkdir(lock)) {
    const owner = ownerOf(lock);
    if (owner === "gone") {
      breakStale(lock);
      continue;
    }
    if (Date.now() > deadline) {
      throw new SetupError(
        `process ${owner} has held ${lock} for too long`,
        `end that process, or remove the directory`,
      );
    }
    if (!announced && owner !== "unknown") {
      announced = true;
      process.stderr.write(`waiting for the set-up that process ${owner} is doing\n`);
    }
    await sleep(POLL_MS);
  }
  const release = () => rmSync(lock, { recursive: true, force: true });
  try {
    writeFileSync(join(lock, "pid"), String(process.pid));
    await work();
  } finally {
    release();
  }
}

/** @param {string} path */
function tryMkdir(path) {
  try {
    mkdirSync(path);
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === "EEXIST") return false;
    throw error;
  }
}

/**
 * @param {string} lock
 * @returns {number | "gone" | "unknown"} the owner's pid, `gone` when that process has ended, `unknown` while it is being written
 */
function ownerOf(lock) {
  try {
    const pid = Number(readFileSync(join(lock, "pid"), "utf8"));
    if (pid > 0) return isAlive(pid) ? pid : "gone";
  } catch {
    // no pid yet, or released just now
  }
  try {
    return Date.now() - statSync(lock).mtimeMs > UNWRITTEN_MS ? "gone" : "unknown";
  } catch {
    return "unknown";
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === "EPERM";
  }
}

/**
 * Removes a lock whose owner is gone. Two processes may see the same stale lock: the second must not remove the lock the first has
 * taken meanwhile, hence the look again under a directory of its own.
 *
 * @param {string} lock
 */
function breakStale(lock) {
  const breaking = `${lock}.breaking`;
  if (!tryMkdir(breaking)) {
    if (ageMs(breaking) > UNWRITTEN_MS) rmSync(breaking, { recursive: true, force: true });
    return;
  }
  try {
    if (ownerOf(lock) === "gone") rmSync(lock, { recursive: true, force: true });
  } finally {
    rmSync(breaking, { recursive: true, force: true });
  }
}

/** @param {string} path */
function ageMs(path) {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return 0;
  }
}
