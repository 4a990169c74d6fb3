import assert from "node:assert/strict";
import { decodeReadSequence, encodeReadSequence } from "./read-only.js";
import { Group } from "./testing/group.js";

const ctx = (text: string): Uint8Array => Buffer.from(text);

describe("reads (thesis 6.4)", () => {
  it("are answered with the commit index once a majority confirmed the leader", () => {
    const group = new Group();
    group.elect(1);
    group.raw(1).propose(ctx("w"));
    group.settle();
    group.raw(1).readIndex(ctx("r"));
    group.work(1);
    assert.deepEqual(group.get(1).reads, []);
    group.settle();
    assert.deepEqual(group.get(1).reads, [{ context: "r", index: 3 }]);
  });

  it("are answered on a follower through its leader", () => {
    const group = new Group();
    group.elect(1);
    group.raw(3).readIndex(ctx("r"));
    group.settle();
    assert.deepEqual(group.get(3).reads, [{ context: "r", index: 2 }]);
  });

  it("are not answered by a leader that is cut off, whatever it believes", () => {
    const group = new Group();
    group.elect(1);
    group.isolate(1);
    group.raw(1).readIndex(ctx("stale"));
    group.settle();
    group.elect(2);
    group.tick(1, 5);
    group.settle();
    assert.deepEqual(group.get(1).reads, []);
    group.heal();
    group.tick(2, 1);
    group.settle();
    assert.deepEqual(group.get(1).reads, [], "it was lost with the leadership");
  });

  it("with one context are kept apart: an answer to the first proves nothing about the second", () => {
    const group = new Group();
    group.elect(1);
    group.raw(1).readIndex(ctx("same"));
    group.work(1);
    const round = group.inTransit;
    group.inTransit = [];
    for (const m of round) group.deliver(m);
    group.work(2);
    group.work(3);
    const echoes = group.inTransit;
    group.inTransit = [];
    // A write is committed between the two reads; the second must see it.
    group.raw(1).propose(ctx("w"));
    group.work(1);
    group.inTransit.filter((m) => m.type === "app").forEach((m) => group.deliver(m));
    group.inTransit = [];
    group.work(2);
    group.inTransit.forEach((m) => group.deliver(m));
    group.inTransit = [];
    group.raw(1).readIndex(ctx("same"));
    for (const m of echoes) group.deliver(m);
    group.work(1);
    assert.deepEqual(group.get(1).reads, [{ context: "same", index: 2 }]);
    group.settle();
    assert.deepEqual(group.get(1).reads.at(1), { context: "same", index: 3 });
  });

  it("wait for the first commit of the leader's term, also in a group of one", () => {
    for (const voters of [[1], [1, 2, 3]]) {
      const group = new Group({ voters });
      group.raw(1).campaign();
      group.passes = (m) => m.type !== "app";
      // Up to leadership, but not up to the first commit.
      while (group.leaders().length === 0) {
        const ready = group.raw(1).hasReady() ? group.raw(1).ready() : undefined;
        if (ready !== undefined) {
          if (ready.hardState !== undefined) group.get(1).storage.setHardState(ready.hardState);
          group.inTransit.push(...ready.messages);
          group.raw(1).advance();
        }
        const messages = group.inTransit;
        group.inTransit = [];
        for (const m of messages) group.deliver(m);
        for (const id of voters.slice(1)) group.work(id);
      }
      group.raw(1).readIndex(ctx("r"));
      assert.deepEqual(group.get(1).reads, []);
      group.heal();
      group.tick(1, 1);
      group.settle();
      assert.deepEqual(group.get(1).reads, [{ context: "r", index: 2 }]);
    }
  });

  it("carry their sequence as 8 bytes", () => {
    for (const sequence of [1, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      assert.equal(decodeReadSequence(encodeReadSequence(sequence)), sequence);
    }
    assert.equal(decodeReadSequence(undefined), 0);
    assert.equal(decodeReadSequence(ctx("foreign")), 0);
  });
});

describe("reads by lease (thesis 6.4.1)", () => {
  /** Elects peer 1, when all have been up for long enough to owe nobody anything. */
  function elected(): Group {
    const group = new Group({ readOnlyOption: "leaseBased", checkQuorum: true, random: () => 9 });
    for (const id of group.members.keys()) group.tick(id, 10);
    group.elect(1);
    return group;
  }

  /** Also lets the leader have one round of heartbeats answered. */
  function withLease(): Group {
    const group = elected();
    group.tick(1, 1);
    group.settle();
    return group;
  }

  /** Asks peer 1 for a read and says whether it answers without asking anybody. */
  function answersAlone(group: Group): boolean {
    const before = group.get(1).reads.length;
    const { passes } = group;
    group.passes = () => false;
    group.raw(1).readIndex(ctx("r"));
    group.work(1);
    group.passes = passes;
    return group.get(1).reads.length > before;
  }

  it("are answered at once after an answered round of heartbeats, and go the safe way before", () => {
    const group = elected();
    assert.equal(answersAlone(group), false);
    group.tick(1, 1);
    group.settle();
    assert.equal(answersAlone(group), true);
    assert.deepEqual(group.get(1).reads.at(-1), { context: "r", index: 2 });
  });

  it("also renew the lease when they go the safe way", () => {
    const group = elected();
    group.raw(1).readIndex(ctx("safe"));
    group.settle();
    assert.equal(group.get(1).reads.length, 1);
    assert.equal(answersAlone(group), true);
  });

  it("end before any other peer can be elected, also when clocks differ by a tenth", () => {
    const group = withLease();
    group.isolate(1);
    let elected = 0;
    let answered = 0;
    for (let tick = 1; tick <= 60; tick++) {
      // The others' clocks are faster: eleven ticks to ten.
      group.tick(1, tick % 11 === 0 ? 0 : 1);
      for (const id of [2, 3]) group.tick(id, 1);
      if (tick >= 10) group.raw(2).campaign();
      group.settle();
      if (group.raw(2).basicStatus().state === "leader") elected ||= tick;
      if (answersAlone(group)) answered = tick;
    }
    assert.ok(answered > 0 && elected > 0, `last answered at ${answered}, elected at ${elected}`);
    assert.ok(answered < elected, `answered at tick ${answered}, but another leader since ${elected}`);
  });

  it("end when leadership is offered away, for the rest of the term", () => {
    const group = withLease();
    group.passes = (m) => m.type !== "timeoutNow";
    group.raw(1).transferLeader(2);
    assert.equal(answersAlone(group), false);
    for (let tick = 0; tick < 20; tick++) {
      group.tick(1, 1);
      group.settle();
    }
    assert.equal(group.raw(1).basicStatus().leadTransferee, 0, "the transfer is over, but the offer may still arrive");
    assert.equal(answersAlone(group), false);
  });

  it("end when the host says that time passed unnoticed, until a heartbeat sent later is answered", () => {
    const group = withLease();
    group.tick(1, 1);
    group.work(1);
    group.raw(1).voidLease();
    assert.equal(answersAlone(group), false);
    group.inTransit = group.inTransit.filter((m) => m.type !== "heartbeat" || m.to !== 3);
    group.settle();
    assert.equal(answersAlone(group), false, "an answer to a heartbeat from before the stall proves nothing");
    group.tick(1, 1);
    group.settle();
    assert.equal(answersAlone(group), true);
  });

  it("can count on a voter that was restarted: it votes for nobody within an election timeout", () => {
    const group = withLease();
    group.restart(2);
    group.isolate(1);
    group.tick(3, 30);
    group.settle();
    assert.deepEqual(group.leaders(), [1]);
    group.tick(2, 10);
    group.tick(3, 30);
    group.settle();
    assert.deepEqual(group.leaders(), [1, 3], "after that it is free, and the lease is over");
  });

  it("need quorum checks", () => {
    assert.throws(() => new Group({ readOnlyOption: "leaseBased" }), { code: "INVALID_CONFIG" });
  });

  it("keep followers from forgetting the leader that may hold a lease", () => {
    const group = withLease();
    group.raw(2).forgetLeader();
    assert.equal(group.raw(2).basicStatus().lead, 1);
  });
});
