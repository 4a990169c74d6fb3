import assert from "node:assert/strict";
import { RheaError } from "@rhea/common";
import { makeMessage } from "./message.js";
import { Group, texts, type GroupOptions } from "./testing/group.js";
import type { ConfChangeSingle, ConfChangeTransition, PeerId } from "./types.js";

/** Proposes changes on peer `id` and lets the group settle. */
function change(
  group: Group,
  id: PeerId,
  changes: readonly ConfChangeSingle[],
  transition: ConfChangeTransition = "auto",
): void {
  group.raw(id).proposeConfChange({ transition, changes, context: new Uint8Array() });
  group.settle();
}

function led(options: GroupOptions = {}): Group {
  const group = new Group(options);
  group.elect(1);
  return group;
}

const add = (nodeId: PeerId): ConfChangeSingle => ({ type: "addNode", nodeId });
const remove = (nodeId: PeerId): ConfChangeSingle => ({ type: "removeNode", nodeId });
const demote = (nodeId: PeerId): ConfChangeSingle => ({ type: "addLearnerNode", nodeId });

describe("a leader that is removed or becomes a learner", () => {
  for (const [how, changes] of [
    ["removed", [remove(1)]],
    ["made a learner", [demote(1)]],
    ["replaced through a joint configuration", [remove(1), add(4)]],
  ] as const) {
    it(`steps down once that is applied, and the others elect another: ${how}`, () => {
      const group = led({ voters: [1, 2, 3], learners: [4], stepDownOnRemoval: true, checkQuorum: true });
      change(group, 1, changes);
      assert.deepEqual(group.leaders(), []);
      assert.equal(group.raw(1).basicStatus().state, "follower");
      for (let tick = 0; tick < 60; tick++) {
        for (const id of [1, 2, 3, 4]) group.tick(id, 1);
        group.settle();
      }
      const [leader, ...others] = group.leaders();
      assert.ok(leader !== undefined && leader !== 1 && others.length === 0, `leaders: ${group.leaders().join()}`);
    });
  }

  it("leads on without counting itself where it is not to step down, so that its last change commits", () => {
    const group = led({ stepDownOnRemoval: false });
    change(group, 1, [remove(1)]);
    assert.deepEqual(group.leaders(), [1]);
    assert.throws(() => group.raw(1).propose(Buffer.from("x")), { reason: "removed" });
    assert.deepEqual(group.raw(2).status().confState.voters, [2, 3]);
    group.raw(1).transferLeader(2);
    group.settle();
    assert.deepEqual(
      group.leaders().filter((id) => id !== 1),
      [2],
    );
  });
});

describe("learners", () => {
  it("get everything, count for nothing, and become voters", () => {
    const group = led({ voters: [1, 2], learners: [3] });
    group.isolate(2);
    group.raw(1).propose(Buffer.from("a"));
    group.settle();
    assert.deepEqual(texts(group.get(3).applied), [], "a learner is no part of the majority");
    group.heal();
    group.tick(1, 1);
    group.settle();
    assert.deepEqual(texts(group.get(3).applied), ["a"]);
    change(group, 1, [add(3)]);
    group.isolate(2);
    group.raw(1).propose(Buffer.from("b"));
    group.settle();
    assert.deepEqual(texts(group.get(3).applied), ["a", "b"]);
  });

  it("vote when asked: the candidate may know of a promotion that they do not", () => {
    const group = led({ voters: [1, 2], learners: [3] });
    // The promotion reaches peer 2 and is committed, but not peer 3; then peer 1 dies.
    group.passes = (m) => m.to !== 3;
    change(group, 1, [add(3)]);
    assert.deepEqual(group.raw(2).status().confState.voters, [1, 2, 3]);
    assert.deepEqual(group.raw(3).status().confState.learners, [3]);
    group.isolate(1);
    group.elect(2);
    assert.equal(group.raw(2).basicStatus().state, "leader");
    assert.deepEqual(group.raw(3).status().confState.voters, [1, 2, 3]);
  });

  it("neither campaign nor take leadership over", () => {
    const group = led({ voters: [1, 2], learners: [3] });
    group.tick(3, 100);
    group.raw(3).campaign();
    group.deliver(makeMessage({ type: "timeoutNow", from: 1, to: 3, term: 2 }));
    assert.equal(group.raw(3).basicStatus().state, "follower");
    assert.equal(group.raw(3).basicStatus().term, 2);
  });

  it("do not keep a leader in office that hears from no voter", () => {
    const group = led({ voters: [1, 2, 3], learners: [4, 5], checkQuorum: true });
    group.isolate(1, 4, 5);
    for (let tick = 0; tick < 25; tick++) {
      group.tick(1, 1);
      group.settle();
    }
    assert.deepEqual(group.leaders(), []);
  });
});

describe("changes of the membership in a group", () => {
  it("let a peer join that knows nothing, by a snapshot that holds it", () => {
    const group = led();
    for (let i = 0; i < 5; i++) group.raw(1).propose(Buffer.from(`${i}`));
    group.settle();
    group.join(4);
    group.passes = (m) => m.type !== "snap";
    change(group, 1, [demote(4)]);
    assert.equal(group.get(4).storage.lastIndex(), 0);
    const { storage } = group.get(1);
    storage.createSnapshot(8, group.raw(1).status().confState, Buffer.from("state"));
    group.raw(1).reportSnapshot(4, "failure");
    group.heal();
    for (let tick = 0; tick < 3; tick++) {
      group.tick(1, 1);
      group.settle();
    }
    assert.equal(group.get(4).storage.lastIndex(), 8);
    assert.deepEqual(group.raw(4).status().confState.learners, [4]);
  });

  it("need both halves while the configuration is joint", () => {
    const committed = (group: Group): number => group.raw(1).basicStatus().commit;
    for (const [cut, isEnough] of [
      [[4, 5], false],
      [[2, 3], false],
      [[2, 4], true],
    ] as const) {
      const group = led({ voters: [1, 2, 3], learners: [4, 5] });
      change(group, 1, [add(4), add(5), remove(2), remove(3)], "jointExplicit");
      assert.deepEqual(group.raw(1).status().confState.votersOutgoing, [1, 2, 3]);
      const before = committed(group);
      group.isolate(...cut);
      group.raw(1).propose(Buffer.from("x"));
      group.settle();
      assert.equal(committed(group), isEnough ? before + 1 : before, `without ${cut.join(" and ")}`);
    }
  });

  it("enter the log one at a time, and one that a new leader finds must be applied before another", () => {
    const group = led();
    group.isolate(1);
    group.raw(1).proposeConfChange({ type: "removeNode", nodeId: 3, context: new Uint8Array() });
    assert.throws(() => group.raw(1).proposeConfChange({ type: "addNode", nodeId: 4, context: new Uint8Array() }), {
      code: "CONF_CHANGE_BUSY",
    });
    group.settle();
    group.heal();
    // Peer 1 is elected again: its log holds the change, not committed.
    group.passes = (m) => m.type === "vote" || m.type === "voteResp";
    group.elect(1);
    assert.throws(
      () => group.raw(1).proposeConfChange({ type: "addNode", nodeId: 4, context: new Uint8Array() }),
      (error) => error instanceof RheaError && error.code === "CONF_CHANGE_BUSY",
    );
    group.heal();
    group.tick(1, 1);
    group.settle();
    group.raw(1).proposeConfChange({ type: "addNode", nodeId: 4, context: new Uint8Array() });
  });

  it("forbid a campaign to a peer that has a committed one still to apply", () => {
    const group = led({ asyncStorageWrites: true });
    group.appliesEntries = (id) => id !== 2;
    change(group, 1, [{ type: "updateNode", nodeId: 2 }]);
    const { commit, applied } = group.raw(2).basicStatus();
    assert.ok(commit === 3 && applied < 3);
    group.elect(2);
    assert.equal(group.raw(2).basicStatus().state, "follower");
    group.appliesEntries = () => true;
    group.settle();
    group.elect(2);
    assert.equal(group.raw(2).basicStatus().state, "leader");
  });
});
