/** What an error of one attempt means for the operation. Pure. */
import type { ErrorCode } from "@rhea/common";

/**
 * - `not-leader`: the peer is there, another one leads (perhaps with a hint).
 * - `absent`: the store has no such peer.
 * - `moved`: the region's range or members changed; the error may carry the current ones.
 * - `busy`: the same store again, later.
 * - `again`: the same region again, later: certainly not applied.
 * - `unreachable`: this replica cannot serve at the moment; another one may.
 * - `final`: the caller's business.
 */
export type Verdict = "not-leader" | "absent" | "moved" | "busy" | "again" | "unreachable" | "final";

/** Judges the code of an attempt's error. */
export function judge(code: ErrorCode): Verdict {
  switch (code) {
    case "NOT_LEADER":
    case "LEADER_NOT_AVAILABLE":
      return "not-leader";
    case "REGION_NOT_FOUND":
      return "absent";
    case "EPOCH_NOT_MATCH":
    case "KEY_NOT_IN_REGION":
      return "moved";
    case "SERVER_BUSY":
      return "busy";
    case "PROPOSAL_DROPPED":
    case "STALE_COMMAND":
    case "CONF_CHANGE_BUSY":
    case "TRANSFER_FAILED":
      return "again";
    case "UNAVAILABLE":
    case "SHUTTING_DOWN":
    case "DEADLINE_EXCEEDED":
    case "CANCELLED":
    case "CORRUPTION":
    case "DISK_FAILED":
    case "DISK_LOST":
    case "STALE_IDENTITY":
      return "unreachable";
    default:
      return "final";
  }
}

/**
 * Whether a store that answers a write with this code may have applied it all the same, where the error itself does not say so.
 * The refusals before the log and at apply are certain; a store that stops, times out or breaks has perhaps proposed it already.
 */
export function leavesDoubt(code: ErrorCode): boolean {
  const verdict = judge(code);
  return verdict === "unreachable" || code === "SESSION_EXPIRED" || code === "INTERNAL";
}
