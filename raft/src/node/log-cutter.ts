/** Decides when and how far one group's log is cut; the record goes with the next turn. */
import type { ProgressStatus } from "../core/types.js";
import type { GroupLog, LogRecord } from "../log/api.js";
import type { HostLimits } from "./api.js";
import { truncationTarget } from "./truncation.js";

/** Entries that make a cut of the log worth a record at once; fewer are cut when the group has come to rest. */
const WORTH_CUTTING = 1024;

/** The cuts of one group's log. */
export class LogCutter {
  readonly #log: GroupLog;
  readonly #limits: HostLimits;
  #leaderTruncatedIndex = 0;
  #wanted = 0;
  #lastLookApplied = 0;

  constructor(log: GroupLog, limits: HostLimits) {
    this.#log = log;
    this.#limits = limits;
  }

  /** Takes note of where the leader's log begins; 0 for a new leader, which has not said so yet. */
  setLeaderTruncatedIndex(index: number): void {
    this.#leaderTruncatedIndex = index;
  }

  /** Whether so much was applied since the last look that a cut is worth a record. */
  isWorthALook(applied: number): boolean {
    return applied - this.#lastLookApplied >= WORTH_CUTTING;
  }

  /**
   * Looks whether the log can be cut below `durableIndex`; true if it wants to be. `followers` gives a leader's live followers, undefined
   * for a follower; it is asked only where there is something to cut.
   */
  look(applied: number, durableIndex: number, followers: () => readonly ProgressStatus[] | undefined): boolean {
    this.#lastLookApplied = applied;
    const { truncatedIndex, liveBytes } = this.#log;
    const durable = Math.min(applied, durableIndex);
    if (durable <= truncatedIndex) return false;
    const { maxLogEntries: maxEntries, maxLogBytes: maxBytes } = this.#limits;
    const target = truncationTarget({
      truncatedIndex,
      durableIndex: durable,
      liveBytes,
      maxEntries,
      maxBytes,
      followers: followers(),
      leaderTruncatedIndex: this.#leaderTruncatedIndex,
    });
    if (target <= truncatedIndex) return false;
    this.#wanted = target;
    return true;
  }

  /** Returns the cut's record, once, if one is wanted. */
  takeRecord(): LogRecord | undefined {
    const index = this.#wanted;
    if (index <= this.#log.truncatedIndex) return undefined;
    this.#wanted = 0;
    return { kind: "truncate", groupId: this.#log.groupId, index, term: this.#log.term(index) };
  }
}
