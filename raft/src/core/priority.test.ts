import assert from "node:assert/strict";
import { targetPriority } from "./priority.js";
import { Group } from "./testing/group.js";
import type { PeerId } from "./types.js";

/** Makes a group whose peers have these priorities, the first being peer 1's, and know of each other's. */
function groupOf(...priorities: readonly number[]): Group {
  const known = new Map(priorities.map((priority, i) => [i + 1, priority]));
  const group = new Group({ voters: [...known.keys()], each: (id) => ({ priority: known.get(id) ?? -1 }) });
  for (const { raw } of group.members.values()) raw.setPriorities(known);
  return group;
}

/** Lets time pass for all peers but those that are down, up to `rounds` longest election timeouts; returns who leads then. */
function electedWithin(group: Group, rounds: number, ...down: readonly PeerId[]): PeerId | undefined {
  group.passes = (m) => !down.includes(m.from) && !down.includes(m.to);
  for (let tick = 0; tick < rounds * 20; tick++) {
    for (const id of group.members.keys()) if (!down.includes(id)) group.tick(id, 1);
    group.settle();
    const [leader] = group.leaders().filter((id) => !down.includes(id));
    if (leader !== undefined) return leader;
  }
  return undefined;
}

describe("election priority", () => {
  it("gives leadership to the highest of the living, whoever times out first", () => {
    for (let highest = 1; highest <= 3; highest++) {
      const group = groupOf(...[1, 2, 3].map((id) => (id === highest ? 100 : 40)));
      assert.equal(electedWithin(group, 1), highest);
    }
  });

  it("decays when no one of high priority answers, until somebody else qualifies", () => {
    const group = groupOf(100, 60, 40);
    assert.equal(electedWithin(group, 3, 1), undefined, "100 is asked for, then 80, and 60 is not enough");
    const leader = electedWithin(group, 5, 1);
    assert.equal(leader, 2);
  });

  it("decays by a fifth, by ten at least, with every second timeout, and never below 1", () => {
    const after = (timeouts: number): number => targetPriority(100, timeouts);
    assert.deepEqual(
      [0, 1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 18, 20, 99].map(after),
      [100, 100, 80, 80, 64, 52, 42, 32, 22, 12, 2, 1, 1, 1],
    );
    assert.equal(targetPriority(-1, 4), -1);
  });

  it("asks for the highest again once there was a leader", () => {
    const group = groupOf(100, 60, 40);
    assert.equal(electedWithin(group, 8, 1), 2);
    // The first choice is back, and follows; when the leader dies, it is the one to succeed although others wait no longer than it does.
    electedWithin(group, 1);
    assert.equal(group.raw(1).basicStatus().lead, 2);
    assert.equal(electedWithin(group, 1, 2), 1);
  });

  it("0 is never elected, but leads when leadership is handed over to it", () => {
    const group = groupOf(0, 0, 50);
    assert.equal(electedWithin(group, 1), 3);
    assert.equal(electedWithin(group, 60, 3), undefined);
    const again = groupOf(0, 0, 50);
    electedWithin(again, 1);
    again.raw(3).transferLeader(1);
    again.settle();
    assert.deepEqual(again.leaders(), [1]);
  });

  it("does not hinder peers without one, nor an explicit campaign", () => {
    const group = groupOf(-1, 100, 100);
    group.tick(1, 20);
    assert.equal(group.raw(1).basicStatus().state, "candidate");
    const low = groupOf(10, 100, 100);
    low.tick(1, 20);
    assert.equal(low.raw(1).basicStatus().state, "follower");
    low.elect(1);
    assert.deepEqual(low.leaders(), [1]);
  });

  it("counts voters only, and follows changes of priorities and of the membership", () => {
    const group = new Group({ voters: [1, 2], learners: [3], each: () => ({ priority: 10 }) });
    group.raw(1).setPriorities(new Map([[3, 100]]));
    group.tick(1, 20);
    assert.equal(group.raw(1).basicStatus().state, "candidate", "a learner does not count");
    group.raw(2).setPriorities(
      new Map([
        [1, 100],
        [2, 10],
      ]),
    );
    group.tick(2, 20);
    assert.equal(group.raw(2).basicStatus().state, "follower");
    group.raw(2).setPriorities(
      new Map([
        [1, 100],
        [2, 100],
      ]),
    );
    group.tick(2, 20);
    assert.equal(group.raw(2).basicStatus().state, "candidate", "its own in the map counts before the configured one");
  });

  it("that is no priority is refused", () => {
    const { raw } = groupOf(1, 1, 1).get(1);
    assert.throws(() => raw.setPriorities(new Map([[7, -2]])), { code: "INVALID_ARGUMENT", message: /peer 7 is -2/ });
    assert.throws(() => new Group({ priority: 0.5 }), { code: "INVALID_CONFIG", message: /priority is 0.5/ });
  });
});
