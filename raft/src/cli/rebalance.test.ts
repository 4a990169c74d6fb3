import { deepEqual, equal, ok } from "node:assert/strict";
import * as fc from "fast-check";
import type { PeerInfo } from "../node/index.js";
import { planRebalance, type LedGroup } from "./rebalance.js";

const peer = (storeId: number, priority?: number): PeerInfo => ({
  peerId: storeId,
  storeId,
  role: "voter",
  ...(priority === undefined ? {} : { priority }),
});
const stores = [1, 2, 3].map((id) => peer(id));
const led = (groupId: number, leader: number, voters = stores): LedGroup => ({ groupId, leader: peer(leader), voters });
const countsAfter = (groups: readonly LedGroup[]): Map<number, number> => {
  const leaders = new Map(groups.map(({ groupId, leader }) => [groupId, leader.storeId]));
  for (const { groupId, to } of planRebalance(groups)) leaders.set(groupId, to.storeId);
  const counts = new Map<number, number>();
  for (const storeId of leaders.values()) counts.set(storeId, (counts.get(storeId) ?? 0) + 1);
  return counts;
};

describe("rebalancing leaders", () => {
  it("spreads the leaders of one process over all", () => {
    const moves = planRebalance([led(1, 1), led(2, 1), led(3, 1)]);
    deepEqual(
      moves.map(({ groupId, from, to }) => [groupId, from.storeId, to.storeId]),
      [
        [1, 1, 2],
        [2, 1, 3],
      ],
    );
  });

  it("moves nothing that would not make it more even", () => {
    deepEqual(planRebalance([led(1, 1), led(2, 1), led(3, 2), led(4, 3)]), []);
    deepEqual(planRebalance([]), []);
    deepEqual(planRebalance([led(1, 1, [peer(1)]), led(2, 1, [peer(1)])]), []);
  });

  it("gives none to a peer that is never to be elected", () => {
    const voters = [peer(1), peer(2, 0), peer(3, 5)];
    const moves = planRebalance([1, 2, 3, 4].map((id) => led(id, 1, voters)));
    equal(moves.length, 2);
    ok(moves.every(({ to }) => to.storeId === 3));
  });

  it("comes within one of even wherever every process has a voter of every group, and moves no group twice", () => {
    const start = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 40 });
    fc.assert(
      fc.property(start, (leaders) => {
        const voters = [1, 2, 3, 4, 5].map((id) => peer(id));
        const groups = leaders.map((leader, i) => led(i + 1, leader, voters));
        const counts = countsAfter(groups);
        const all = voters.map(({ storeId }) => counts.get(storeId) ?? 0);
        ok(Math.max(...all) - Math.min(...all) <= 1, all.join(" "));
        const moved = planRebalance(groups).map(({ groupId }) => groupId);
        equal(new Set(moved).size, moved.length);
        ok(planRebalance(groups).every(({ from, to }) => from.storeId !== to.storeId));
      }),
    );
  });
});
