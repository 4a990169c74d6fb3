/** Finds the log in a directory that was named, and makes sure that nobody has it open. */
import { RheaError } from "@rhea/common";
import { nodeDisk } from "@rhea/common/env-node";
import { logFingerprint } from "@rhea/raft/offline";
import { lockStoppedStore } from "@rhea/store/offline";

/** A log to look into. */
export interface StoppedLog {
  /** Where its segments are. */
  readonly directory: string;
  /** Whether a lock keeps processes from opening it meanwhile. */
  readonly isLocked: boolean;
}

/**
 * Runs something on the log of `directory`, a store's directory (with `data` and `log` in it) or a log's own.
 * @throws RheaError LOCKED while a process runs on it or changed it meanwhile; NOT_FOUND where there is no log.
 */
export async function withStoppedLog<T>(
  directory: string,
  logDirectory: string | undefined,
  run: (log: StoppedLog) => Promise<T>,
): Promise<T> {
  const isStore = (await nodeDisk.stat(`${directory}/data`))?.kind === "directory";
  const own = logDirectory ?? (isStore ? `${directory}/log` : directory);
  // A log's own directory usually lies in its store's.
  const lock = await lockStoppedStore(isStore ? directory : `${directory}/..`);
  try {
    const before = await logFingerprint(nodeDisk, own);
    const result = await run({ directory: own, isLocked: lock !== undefined });
    if ((await logFingerprint(nodeDisk, own)) !== before) {
      throw new RheaError("LOCKED", `${own}: the log changed while it was read: stop the process that writes it`);
    }
    return result;
  } finally {
    await lock?.release();
  }
}
