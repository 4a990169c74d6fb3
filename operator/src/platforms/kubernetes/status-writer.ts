/** Decides whether a status is worth a write. */
import type { ClusterMemory } from "./deps.js";
import { isSubset } from "./subset.js";

/** Counts that move all the time are written no more often than this. */
const COUNTS_EVERY_MS = 5_000;
/** Fields in which only a number changes without anything having happened that somebody waits for. */
const COUNTS: ReadonlySet<string> = new Set(["leaders", "regions", "pendingPeers", "drainedRatio", "regionsPerStore"]);
const TEXTS: ReadonlySet<string> = new Set(["message", "proof", "reason", "nextTryAt", "caExpiresAt", "nextExpiryAt"]);

/**
 * Returns whether `status` should be written over `live`. A settled cluster's status is equal and needs no write; where only counts and
 * the numbers in texts differ, it can wait.
 *
 * @param name kind and name, under which the last write is remembered
 */
export function needsWrite(
  memory: Pick<ClusterMemory, "statuses">,
  name: string,
  status: object,
  live: object | undefined,
  nowMs: number,
): boolean {
  const text = JSON.stringify(status);
  const last = memory.statuses.get(name);
  const isSame = isSubset(status, live) && (last === undefined ? isSubset(live, status) : last.text === text);
  if (isSame) return false;
  const canWait = live !== undefined && last !== undefined && shape(status) === shape(JSON.parse(last.text));
  return !(canWait && isSubset(JSON.parse(last.text), live) && nowMs - last.atMs < COUNTS_EVERY_MS);
}

/** Remembers that a status was written. */
export function rememberWrite(
  memory: Pick<ClusterMemory, "statuses">,
  name: string,
  status: object,
  nowMs: number,
): void {
  memory.statuses.set(name, { text: JSON.stringify(status), atMs: nowMs });
}

/** The text of a status without its counts. */
function shape(status: unknown): string {
  return JSON.stringify(status, (key, value: unknown) => {
    if (COUNTS.has(key) && typeof value === "number") return 0;
    if (TEXTS.has(key) && typeof value === "string") return value.replace(/\d+(\.\d+)?/g, "0");
    return value;
  });
}
