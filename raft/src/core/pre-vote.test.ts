import assert from "node:assert/strict";
import { Group, type GroupOptions } from "./testing/group.js";
import type { PeerId } from "./types.js";

/** Lets time pass for the peers given, until one of them leads; returns it, or undefined after so many ticks. */
function electedAmong(group: Group, ids: readonly PeerId[], ticks: number): PeerId | undefined {
  for (let tick = 0; tick < ticks; tick++) {
    for (const id of ids) group.tick(id, 1);
    group.settle();
    const leader = ids.find((id) => group.raw(id).basicStatus().state === "leader");
    if (leader !== undefined) return leader;
  }
  return undefined;
}

describe("moving a group to pre-vote", () => {
  /** Only these peers ask before they campaign. */
  const asking = (...ids: readonly PeerId[]): GroupOptions => ({ each: (id) => ({ preVote: ids.includes(id) }) });

  it("elects a leader whatever part of the group has moved, and whoever was cut off", () => {
    for (const checkQuorum of [false, true]) {
      for (const moved of [[], [1], [2], [3], [1, 2], [2, 3], [1, 3], [1, 2, 3]]) {
        for (const cut of [1, 2, 3]) {
          const group = new Group({ ...asking(...moved), checkQuorum });
          group.elect(1);
          group.isolate(cut);
          for (const id of [1, 2, 3]) group.tick(id, 50);
          group.settle();
          group.heal();
          const leader = electedAmong(group, [1, 2, 3], 200);
          assert.notEqual(leader, undefined, `moved: ${moved.join()}; cut off: ${cut}; checkQuorum: ${checkQuorum}`);
        }
      }
    }
  });

  it("does not deadlock between a candidate of a higher term with an older log, and one that only asks", () => {
    // Peer 2 still campaigns by raising its term, alone; its log is behind. Peer 3 asks first, and has the newer log.
    const group = new Group(asking(1, 3));
    group.elect(1);
    group.isolate(2);
    for (let i = 0; i < 3; i++) {
      group.raw(1).propose(Buffer.from("x"));
      group.settle();
      group.elect(2);
    }
    assert.ok(group.raw(2).basicStatus().term > group.raw(3).basicStatus().term);
    // Peer 1 dies; 2 and 3 are left, and only 3 can win.
    group.heal();
    group.isolate(1);
    assert.equal(electedAmong(group, [2, 3], 200), 3);
  });

  it("lets a peer of a higher term back in: the leader learns of the term and is elected anew", () => {
    for (const options of [{ preVote: true }, { checkQuorum: true }]) {
      const group = new Group({ ...options, each: (id) => (id === 3 ? { preVote: false } : {}) });
      group.elect(1);
      group.isolate(3);
      group.elect(3);
      const { term } = group.raw(3).basicStatus();
      group.heal();
      for (let tick = 0; tick < 60; tick++) {
        for (const id of [1, 2, 3]) group.tick(id, 1);
        group.settle();
      }
      const [leader, ...others] = group.leaders();
      assert.ok(leader !== undefined && others.length === 0);
      assert.ok(group.raw(leader).basicStatus().term >= term);
      assert.equal(group.raw(3).basicStatus().lead, leader);
    }
  });

  it("goes on peer by peer, with a leader after every restart", () => {
    const moved = new Set<PeerId>();
    const group = new Group({ checkQuorum: true, each: (id) => ({ preVote: moved.has(id) }) });
    for (const id of [1, 2, 3]) {
      moved.add(id);
      group.restart(id);
      assert.notEqual(electedAmong(group, [1, 2, 3], 200), undefined);
    }
    // All moved: a peer that was cut off comes back without disturbing anybody.
    const [leader] = group.leaders();
    const cut = [1, 2, 3].find((id) => id !== leader) ?? 0;
    group.isolate(cut);
    group.tick(cut, 100);
    group.settle();
    const { term } = group.raw(leader ?? 0).basicStatus();
    group.heal();
    group.tick(cut, 100);
    group.settle();
    assert.deepEqual(group.leaders(), [leader]);
    assert.equal(group.raw(leader ?? 0).basicStatus().term, term);
  });
});
