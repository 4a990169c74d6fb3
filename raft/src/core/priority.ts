import { RheaError } from "@rhea/common";
import { voterIds } from "./tracker.js";
import type { Raft } from "./raft.js";
import type { PeerId } from "./types.js";

/** Is the priority of a peer that campaigns without asking for priorities. */
export const NO_PRIORITY = -1;
const LEAST_PRIORITY = 1;
const LEAST_DECAY = 10;

/**
 * Returns the priority that a peer needs to campaign: the voters' highest, which decays by a fifth, but by 10 at least, with every second
 * election timeout that brought no leader, so that a group whose first choices are dead elects another (as JRaft does).
 */
export function targetPriority(highest: number, timeouts: number): number {
  let target = highest;
  for (let rounds = Math.floor(timeouts / 2); rounds > 0 && target > LEAST_PRIORITY; rounds--) {
    target = Math.max(LEAST_PRIORITY, target - Math.max(LEAST_DECAY, Math.floor(target / 5)));
  }
  return target;
}

/** Judges, at an election timeout, whether this peer's priority lets it campaign now. */
export function allowsCampaign(r: Raft): boolean {
  const priority = priorityOf(r, r.id);
  if (priority === NO_PRIORITY) return true;
  r.timeoutsWithoutLeader++;
  let highest = NO_PRIORITY;
  for (const id of voterIds(r.tracker.conf)) highest = Math.max(highest, priorityOf(r, id));
  const target = targetPriority(highest, r.timeoutsWithoutLeader);
  if (priority > 0 && priority >= target) return true;
  r.emit?.({ kind: "campaignDeferredByPriority", term: r.term, priority, target });
  return false;
}

/**
 * Checks priorities that a host gives.
 * @throws RheaError INVALID_ARGUMENT naming the peer whose priority is no whole number of -1 or more.
 */
export function checkPriorities(priorities: ReadonlyMap<PeerId, number>): void {
  for (const [id, priority] of priorities) {
    if (!Number.isSafeInteger(priority) || priority < NO_PRIORITY) {
      throw new RheaError(
        "INVALID_ARGUMENT",
        `the election priority of peer ${id} is ${priority}: it must be -1 (off), 0 (never elected) or a whole number above`,
      );
    }
  }
}

function priorityOf(r: Raft, id: PeerId): number {
  return r.priorities.get(id) ?? (id === r.id ? r.config.priority : NO_PRIORITY);
}
