/** How far a group's log may be cut. */
import type { PeerId, ProgressStatus, RaftStatus } from "../core/types.js";
import type { Contacts } from "./contacts.js";

/** A follower not heard of for this long does not hold the log back. */
const PINS_LOG_FOR_MS = 30_000;

/** What the decision rests on. All indexes are of one group's log. */
export interface TruncationInput {
  readonly truncatedIndex: number;
  /** The state machine's storage holds everything up to here, durably. */
  readonly durableIndex: number;
  readonly liveBytes: number;
  readonly maxEntries: number;
  readonly maxBytes: number;
  /** On a leader: the progress of the other members that were heard of lately. */
  readonly followers: readonly ProgressStatus[] | undefined;
  /** On a follower: where its leader's log begins, as the last heartbeat said. */
  readonly leaderTruncatedIndex: number;
}

/** A follower that has heard no cut from its leader may keep this many times the limits. */
const FOLLOWER_SLACK = 2;
/** A leader may keep this many times the limits for a follower that is getting a snapshot. */
const SNAPSHOT_SLACK = 4;

/**
 * Returns the index up to which the log may be cut; not above `truncatedIndex` when there is nothing to cut. A leader keeps what its
 * live followers lack, up to the limits; a follower keeps what its leader keeps, so that it can take over without sending snapshots.
 */
export function truncationTarget(input: TruncationInput): number {
  const { durableIndex, truncatedIndex, liveBytes, followers, leaderTruncatedIndex, maxEntries, maxBytes } = input;
  const slack = followers === undefined ? FOLLOWER_SLACK : 1;
  const isOverLimit = durableIndex - truncatedIndex > maxEntries * slack || liveBytes > maxBytes * slack;
  if (followers === undefined) return isOverLimit ? durableIndex : Math.min(durableIndex, leaderTruncatedIndex);
  // Over the limit only those are given up that lack more than half of the log: the others are about to catch up. Whoever is getting a
  // snapshot is given up much later, else it would need another one as soon as it has this one.
  const middle = (durableIndex + truncatedIndex) / 2;
  const isFarOver =
    durableIndex - truncatedIndex > maxEntries * SNAPSHOT_SLACK || liveBytes > maxBytes * SNAPSHOT_SLACK;
  let target = durableIndex;
  for (const { match, pendingSnapshot, state } of followers) {
    const needed = Math.max(match, pendingSnapshot);
    const isGivenUp = needed < middle && (state === "snapshot" ? isFarOver : isOverLimit);
    if (!isGivenUp) target = Math.min(target, needed);
  }
  return target;
}

/** Of a leader's followers, those that were heard of lately. */
export function liveFollowers(self: PeerId, status: RaftStatus, contacts: Contacts, nowMs: number): ProgressStatus[] {
  const live: ProgressStatus[] = [];
  for (const [peerId, progress] of status.progress) {
    if (peerId === self) continue;
    if (progress.recentActive || contacts.heardMs(peerId) > nowMs - PINS_LOG_FOR_MS) live.push(progress);
  }
  return live;
}
