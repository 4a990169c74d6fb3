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

  it("by lease are answered at once, but never again in a term in which leadership was offered away", () => {
    const group = new Group({ readOnlyOption: "leaseBased", checkQuorum: true });
    group.elect(1);
    group.isolate(1);
    group.raw(1).readIndex(ctx("lease"));
    group.work(1);
    assert.deepEqual(group.get(1).reads, [{ context: "lease", index: 2 }]);
    group.raw(1).transferLeader(2);
    group.raw(1).readIndex(ctx("during"));
    group.work(1);
    assert.equal(group.get(1).reads.length, 1);
  });

  it("by lease need quorum checks", () => {
    assert.throws(() => new Group({ readOnlyOption: "leaseBased" }), { code: "INVALID_CONFIG" });
  });

  it("carry their sequence as 8 bytes", () => {
    for (const sequence of [1, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      assert.equal(decodeReadSequence(encodeReadSequence(sequence)), sequence);
    }
    assert.equal(decodeReadSequence(undefined), 0);
    assert.equal(decodeReadSequence(ctx("foreign")), 0);
  });
});
