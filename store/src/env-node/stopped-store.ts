import { existsSync } from "node:fs";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { RheaError } from "@rhea/common";
import { ClassicLevel } from "classic-level";

/** Where a store's engine keeps the lock of its directory, below the store's directory. */
const LOCKS = ["data/leveldb/LOCK", "data/memory-lock/LOCK"];

/** A stopped store's lock, held. */
export interface HeldLock {
  release(): Promise<void>;
}

/**
 * Takes the lock that a running store holds on its directory, so that none starts meanwhile; changes nothing in it. Undefined where there is no lock
 * file: no store was ever started there.
 * @throws RheaError LOCKED while a store process holds it.
 */
export async function lockStoppedStore(storeDirectory: string): Promise<HeldLock | undefined> {
  const lock = LOCKS.map((name) => resolve(storeDirectory, name)).find((path) => existsSync(path));
  if (lock === undefined) return undefined;
  // LevelDB alone can take its lock, and it writes where it opens: so it opens an empty place whose lock file is the store's.
  const scratch = await mkdtemp(join(tmpdir(), "rhea-offline-"));
  const release = (): Promise<void> => rm(scratch, { recursive: true, force: true });
  await symlink(lock, join(scratch, "LOCK"));
  const level = new ClassicLevel(scratch);
  try {
    await level.open();
  } catch (cause) {
    await release();
    if (isLocked(cause)) {
      throw new RheaError("LOCKED", `${storeDirectory}: a store process runs on it: stop it first`, { cause });
    }
    throw new RheaError("DISK_FAILED", `${lock}: the lock cannot be taken: it must be writable`, { cause });
  }
  return {
    release: async () => {
      await level.close();
      await release();
    },
  };
}

function isLocked(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && "code" in cause && cause.code === "LEVEL_LOCKED";
}
