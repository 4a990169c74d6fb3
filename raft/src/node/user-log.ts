import { RheaError } from "@rhea/common";
import type { GroupLog } from "../log/api.js";
import type { UserLog } from "./api.js";

/** Bytes of entries read at once. */
const READ_BYTES = 1024 * 1024;

/**
 * Returns the committed user entry at `index` or, where that is none (a membership change, the begin of a term), the next one.
 * @throws RheaError INVALID_ARGUMENT for an index that is not committed yet, NOT_FOUND where the log was cut, or holds no user entry from
 * there on.
 */
export function readUserLog(log: GroupLog, index: number, committed: number): UserLog {
  const { groupId } = log;
  if (!Number.isSafeInteger(index) || index < 1) {
    throw new RheaError("INVALID_ARGUMENT", `group ${groupId}: log index ${index}: they begin at 1`);
  }
  if (index > committed) {
    const known = `index ${index} is not committed yet, as far as this peer knows: ${committed} is`;
    throw new RheaError("INVALID_ARGUMENT", `group ${groupId}: ${known}`);
  }
  const { truncatedIndex } = log;
  if (index <= truncatedIndex) {
    const begins = `index ${index} was cut from the log, which begins at ${truncatedIndex + 1}: read the state instead`;
    throw new RheaError("NOT_FOUND", `group ${groupId}: ${begins}`);
  }
  for (let at = index; at <= committed;) {
    const entries = log.entries(at, committed + 1, READ_BYTES);
    for (const { type, index: found, term, data } of entries) {
      if (type === "normal" && data.length > 0) return { index: found, term, data };
    }
    at += entries.length;
  }
  throw new RheaError("NOT_FOUND", `group ${groupId}: no user entry from index ${index} to ${committed}`);
}
