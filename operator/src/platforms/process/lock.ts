import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { RheaError } from "@rhea/common";
import type { Layout } from "./layout.js";
import { isRunning, startTokenOf, type ProcessIdentity } from "./process-identity.js";

/** The operator's hold on a data directory. */
export interface DataDirLock {
  /** Gives the directory free; idempotent. */
  release(): void;
}

/**
 * Takes a data directory for this process. A lock whose process is gone is taken over.
 *
 * @throws {RheaError} LOCKED naming the process that runs on it
 */
export function lockDataDir(layout: Layout): DataDirLock {
  mkdirSync(layout.operatorDir, { recursive: true });
  const own: ProcessIdentity = { pid: process.pid, startToken: startTokenOf(process.pid) ?? "" };
  const draft = `${layout.lockFile}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(own));
  try {
    for (;;) {
      if (tryLink(draft, layout.lockFile)) break;
      const holder = lockHolder(layout);
      if (holder !== undefined) {
        throw new RheaError(
          "LOCKED",
          `${layout.root} is in use by process ${holder.pid}: end that one (npm start -- --stop), or choose another --data-dir`,
        );
      }
      removeStale(layout.lockFile);
    }
  } finally {
    rmSync(draft, { force: true });
  }
  let isHeld = true;
  return {
    release: () => {
      if (!isHeld) return;
      isHeld = false;
      rmSync(layout.lockFile, { force: true });
    },
  };
}

/** The process that holds the directory now, if one does. */
export function lockHolder(layout: Layout): ProcessIdentity | undefined {
  return readHolder(layout.lockFile);
}

function readHolder(path: string): ProcessIdentity | undefined {
  try {
    const holder = JSON.parse(readFileSync(path, "utf8")) as ProcessIdentity;
    return isRunning(holder) ? holder : undefined;
  } catch {
    return undefined; // no lock, or it went away while we looked
  }
}

/** A hard link makes the lock appear with its content in one step; it fails if there is one. */
function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/**
 * Renaming first: of two processes that find the same stale lock only one gets it out of the way. What was renamed is looked at again: where
 * the other one has replaced the stale lock by its own meanwhile, it is put back.
 */
function removeStale(path: string): void {
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  if (readHolder(aside) !== undefined) tryLink(aside, path);
  rmSync(aside, { force: true });
}
