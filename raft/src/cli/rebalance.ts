/** Spreads the leaders of groups evenly over the processes that have their peers. Pure. */
import type { PeerInfo } from "../node/index.js";

/** A group with its leader and the voters that could lead instead. */
export interface LedGroup {
  readonly groupId: number;
  readonly leader: PeerInfo;
  readonly voters: readonly PeerInfo[];
}

/** A leadership that should move. */
export interface LeaderMove {
  readonly groupId: number;
  readonly from: PeerInfo;
  readonly to: PeerInfo;
}

/**
 * Plans moves until no move makes it more even: each takes a leadership to the voter whose process leads fewest, where that is at least two
 * fewer than the present one's. Peers that are never to be elected (priority 0) get none.
 */
export function planRebalance(groups: readonly LedGroup[]): LeaderMove[] {
  const counts = new Map<number, number>();
  const countOf = (peer: PeerInfo): number => counts.get(peer.storeId) ?? 0;
  for (const { leader } of groups) counts.set(leader.storeId, countOf(leader) + 1);
  const leaders = new Map(groups.map(({ groupId, leader }) => [groupId, leader]));
  const sorted = [...groups].sort((a, b) => a.groupId - b.groupId);
  // Every move lowers the sum of squares of the counts, so this ends.
  for (let moved = true; moved;) {
    moved = false;
    for (const { groupId, voters } of sorted) {
      const leader = leaders.get(groupId) as PeerInfo;
      const able = voters.filter(({ storeId, priority }) => storeId !== leader.storeId && priority !== 0);
      const [target] = [...able].sort((a, b) => countOf(a) - countOf(b) || a.storeId - b.storeId);
      if (target === undefined || countOf(target) + 1 >= countOf(leader)) continue;
      counts.set(leader.storeId, countOf(leader) - 1);
      counts.set(target.storeId, countOf(target) + 1);
      leaders.set(groupId, target);
      moved = true;
    }
  }
  return sorted.flatMap(({ groupId, leader: from }) => {
    const to = leaders.get(groupId) as PeerInfo;
    return to.storeId === from.storeId ? [] : [{ groupId, from, to }];
  });
}
