/**
 * Limits how many groups of a process campaign at once. When thousands have no leader, all would ask at the same time, and the answers would
 * come when they are of no use any more: nobody would ever win.
 */
import type { Group } from "./group.js";

/** Groups that may campaign at once in a process that keeps up with its ticks, and in one that does not. */
const USUAL_CAMPAIGNS = 256;
const LATE_CAMPAIGNS = 32;
/** A campaign that has not been decided after this many ticks does not count any more. */
const UNDECIDED_TICKS = 3;

/** The campaigns that are going on. */
export class CampaignPacer {
  readonly #since = new Map<Group, number>();
  #limit = USUAL_CAMPAIGNS;

  /** At each tick: forgets what is decided. `isLate`: the process does not keep up. */
  onTick(tick: number, isLate: boolean): void {
    this.#limit = isLate ? LATE_CAMPAIGNS : Math.min(USUAL_CAMPAIGNS, 2 * this.#limit);
    for (const [group, since] of this.#since) {
      const state = group.core?.basicStatus().state;
      const isUndecided = state === "candidate" || state === "preCandidate";
      if (!isUndecided || tick - since >= UNDECIDED_TICKS) this.#since.delete(group);
    }
  }

  /** Asks whether a group may campaign now; if so, it counts. */
  tryStart(group: Group, tick: number): boolean {
    if (this.#since.size >= this.#limit && !this.#since.has(group)) return false;
    this.#since.set(group, tick);
    return true;
  }
}
