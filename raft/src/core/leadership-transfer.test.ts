import assert from "node:assert/strict";
import { makeMessage } from "./message.js";
import { Group, type GroupOptions } from "./testing/group.js";
import type { ConfChangeSingle, PeerId } from "./types.js";

const DROPPED = { code: "PROPOSAL_DROPPED", reason: "transferring" };
const NO_CONTEXT = new Uint8Array();

/** Elects peer 1 of three. */
function led(options: GroupOptions = {}): Group {
  const group = new Group(options);
  group.elect(1);
  return group;
}

/** Begins a transfer to a peer that does not hear of it. */
function pending(to: PeerId, options: GroupOptions = {}): Group {
  const group = led(options);
  group.isolate(to);
  group.raw(1).transferLeader(to);
  group.settle();
  assert.equal(transfereeOf(group), to);
  return group;
}

function transfereeOf(group: Group): PeerId {
  return group.raw(1).basicStatus().leadTransferee;
}

/** Applies a membership change on the leader as if it had been committed before the transfer began. */
function applyOnLeader(group: Group, change: ConfChangeSingle): void {
  group.raw(1).applyConfChange({ transition: "auto", changes: [change], context: NO_CONTEXT });
}

describe("leadership transfer (thesis 3.10)", () => {
  it("moves leadership to the peer asked for, also when a follower is asked", () => {
    const group = led({ checkQuorum: true, preVote: true });
    group.raw(1).transferLeader(2);
    group.settle();
    assert.deepEqual(group.leaders(), [2]);
    group.raw(1).transferLeader(3);
    group.settle();
    assert.deepEqual(group.leaders(), [3]);
  });

  it("brings a lagging target up to date first, over as many messages as that takes", () => {
    const group = led({ maxSizePerMsg: 0, maxInflightMsgs: 2 });
    group.isolate(2);
    for (let i = 0; i < 20; i++) group.raw(1).propose(Buffer.from(`${i}`));
    group.settle();
    group.heal();
    let behind = 0;
    group.passes = (m) => {
      if (m.type === "timeoutNow") behind = 22 - group.get(2).storage.lastIndex();
      return true;
    };
    group.raw(1).transferLeader(2);
    group.tick(1, 1);
    group.settle();
    assert.deepEqual(group.leaders(), [2]);
    assert.equal(behind, 0, "told to campaign only when it had everything");
  });

  it("brings a target up to date that needs a snapshot", () => {
    const group = led();
    group.isolate(2);
    for (let i = 0; i < 5; i++) group.raw(1).propose(Buffer.from(`${i}`));
    group.settle();
    const { storage } = group.get(1);
    storage.createSnapshot(5, group.raw(1).status().confState, Buffer.from("state"));
    storage.compact(5);
    group.heal();
    group.raw(1).transferLeader(2);
    for (let tick = 0; tick < 5; tick++) {
      group.tick(1, 1);
      group.settle();
    }
    assert.deepEqual(group.leaders(), [2]);
  });

  it("drops proposals and joint leaves while it lasts, and ends after an election timeout", () => {
    const group = pending(2);
    assert.throws(() => group.raw(1).propose(Buffer.from("x")), DROPPED);
    group.raw(3).propose(Buffer.from("forwarded, and dropped without a word"));
    group.settle();
    group.tick(1, 9);
    assert.throws(() => group.raw(1).propose(Buffer.from("x")), DROPPED);
    group.tick(1, 1);
    assert.equal(transfereeOf(group), 0);
    assert.equal(group.raw(1).propose(Buffer.from("x")), 3);
  });

  it("to the same target again does not prolong it", () => {
    const group = pending(2);
    group.tick(1, 6);
    group.raw(1).transferLeader(2);
    group.tick(1, 4);
    assert.equal(transfereeOf(group), 0);
  });

  it("to another target replaces it", () => {
    const group = pending(2);
    group.raw(1).transferLeader(3);
    group.settle();
    assert.deepEqual(group.leaders(), [3]);
  });

  it("to the leader itself ends another one, and is none", () => {
    const idle = led();
    idle.raw(1).transferLeader(1);
    assert.equal(transfereeOf(idle), 0);
    const group = pending(2);
    group.raw(1).transferLeader(1);
    assert.equal(transfereeOf(group), 0);
    assert.equal(group.raw(1).propose(Buffer.from("x")), 3);
  });

  it("to a learner or to a stranger is none, and leaves another one alone", () => {
    for (const stranger of [3, 9]) {
      const group = new Group({ voters: [1, 2], learners: [3] });
      group.elect(1);
      group.isolate(2);
      group.raw(1).transferLeader(2);
      group.raw(1).transferLeader(stranger);
      assert.equal(transfereeOf(group), 2);
    }
  });

  it("ends when its target is removed or becomes a learner", () => {
    for (const type of ["removeNode", "addLearnerNode"] as const) {
      const group = pending(2);
      applyOnLeader(group, { type, nodeId: 3 });
      assert.equal(transfereeOf(group), 2, "another peer does not matter");
      applyOnLeader(group, { type: "addNode", nodeId: 3 });
      applyOnLeader(group, { type, nodeId: 2 });
      assert.equal(transfereeOf(group), 0, type);
    }
  });

  it("ends with the term", () => {
    const group = pending(2);
    group.deliver(makeMessage({ type: "app", from: 3, to: 1, term: 9, index: 2, logTerm: 2 }));
    assert.equal(transfereeOf(group), 0);
    assert.equal(group.raw(1).basicStatus().state, "follower");
  });

  it("works while a majority would refuse other candidates, because the leader vouches for this one", () => {
    const group = led({ checkQuorum: true, preVote: true });
    group.elect(3);
    assert.deepEqual(group.leaders(), [1], "peers that hear from their leader refuse");
    group.raw(1).transferLeader(2);
    group.settle();
    assert.deepEqual(group.leaders(), [2]);
  });

  it("does not happen on a target that may not campaign", () => {
    const group = led();
    // The target knows of a committed membership change that it has not applied.
    group.raw(1).proposeConfChange({ type: "updateNode", nodeId: 3, context: NO_CONTEXT });
    group.settle();
    const target = group.raw(2);
    target.step(
      makeMessage({
        type: "app",
        from: 1,
        to: 2,
        term: 2,
        index: 3,
        logTerm: 2,
        commit: 4,
        entries: [{ term: 2, index: 4, type: "confChangeV2", data: NO_CONTEXT }],
      }),
    );
    target.step(makeMessage({ type: "timeoutNow", from: 1, to: 2, term: 2 }));
    assert.equal(target.basicStatus().state, "follower");
    // Nor on one that is campaigning already.
    group.raw(3).campaign();
    const { term } = group.raw(3).basicStatus();
    group.raw(3).step(makeMessage({ type: "timeoutNow", from: 1, to: 3, term }));
    assert.equal(group.raw(3).basicStatus().term, term);
  });

  it("is dropped where no leader is known", () => {
    const group = new Group();
    group.raw(2).transferLeader(3);
    group.settle();
    assert.deepEqual(group.leaders(), []);
  });
});
