import assert from "node:assert/strict";
import { ProposalDroppedError } from "./errors.js";
import { makeMessage } from "./message.js";
import { Group, texts } from "./testing/group.js";

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** Leads to the raft paper's figure 8 (d): peer 1 leads term 4 and has brought its entry of term 2 to a majority, but none of term 4. */
function figureEight(): Group {
  const group = new Group({ voters: [1, 2, 3], maxSizePerMsg: 0 });
  group.elect(1);
  group.isolate(1);
  group.raw(1).propose(bytes("old"));
  group.settle();
  group.heal();
  // Peer 2 leads term 3 without ever sending anything, then peer 1 comes back at term 4.
  group.passes = (m) => m.type === "vote" || m.type === "voteResp";
  group.elect(2);
  group.elect(1);
  assert.equal(group.raw(1).basicStatus().term, 4);
  // Its first append tells peer 1 that peer 3 lacks the old entry; then that one gets through (one entry per message), the next not.
  let probes = 0;
  group.passes = (m) => m.to !== 2 && m.from !== 2 && (!m.entries.some((e) => e.term === 4) || probes++ === 0);
  group.tick(1, 1);
  group.settle();
  assert.deepEqual(texts(group.get(3).storage.entries(3, 4, 1)), ["old"]);
  return group;
}

describe("log replication (thesis 3.5, 3.6)", () => {
  it("an entry is committed once a majority has stored it, and applied by all", () => {
    const group = new Group();
    group.elect(1);
    group.isolate(3);
    group.raw(1).propose(bytes("a"));
    group.settle();
    assert.deepEqual(texts(group.get(1).applied), ["a"]);
    assert.deepEqual(texts(group.get(3).applied), []);
    group.heal();
    group.tick(1, 1);
    group.settle();
    assert.deepEqual(texts(group.get(3).applied), ["a"]);
  });

  it("a minority commits nothing, and its entries give way to the majority's", () => {
    const group = new Group({ voters: [1, 2, 3, 4, 5] });
    group.elect(1);
    group.isolate(1, 2);
    for (const text of ["x", "y", "z"]) group.raw(1).propose(bytes(text));
    group.settle();
    assert.deepEqual(texts(group.get(1).applied), []);
    group.elect(3);
    group.raw(3).propose(bytes("kept"));
    group.settle();
    group.heal();
    group.tick(3, 1);
    group.settle();
    for (const { applied } of group.members.values()) assert.deepEqual(texts(applied), ["kept"]);
    const logs = [...group.members.values()].map(({ storage }) => storage.entries(2, storage.lastIndex() + 1, 1e9));
    for (const log of logs) assert.deepEqual(log, logs[0]);
  });

  it("a diverged follower is found with at most one probe per term", () => {
    const group = new Group();
    group.elect(1);
    group.isolate(1);
    for (let i = 0; i < 50; i++) group.raw(1).propose(bytes(`lost ${i}`));
    group.settle();
    group.elect(2);
    for (let i = 0; i < 50; i++) group.raw(2).propose(bytes(`kept ${i}`));
    group.settle();
    group.elect(3);
    let rejections = 0;
    group.heal();
    group.passes = (m) => {
      if (m.type === "appResp" && m.reject) rejections++;
      return true;
    };
    group.tick(3, 1);
    group.settle();
    assert.equal(texts(group.get(1).applied).length, 50);
    assert.ok(rejections >= 1 && rejections <= 2, `${rejections} rejections`);
  });

  it("an entry of an older term is not committed by counting (figure 8)", () => {
    const group = figureEight();
    assert.equal(group.raw(1).status().progress.get(3)?.match, 3, "the old entry is on a majority");
    assert.deepEqual(texts(group.get(1).applied), []);
    group.heal();
    group.tick(1, 1);
    group.settle();
    assert.deepEqual(texts(group.get(1).applied), ["old"], "an entry of the current term takes it along");
  });

  it("a heartbeat never commits beyond what the follower is known to have", () => {
    const group = new Group();
    group.elect(1);
    group.isolate(3);
    group.raw(1).propose(bytes("a"));
    group.settle();
    group.heal();
    group.raw(1).tick();
    group.work(1);
    const heartbeat = group.inTransit.find((m) => m.type === "heartbeat" && m.to === 3);
    assert.equal(heartbeat?.commit, 2);
  });

  it("a follower refuses entries that do not follow its log, and repeats of committed ones change nothing", () => {
    const group = new Group();
    group.elect(1);
    group.raw(1).propose(bytes("a"));
    group.settle();
    const app = { type: "app", from: 1, to: 2, term: 2 } as const;
    group.deliver(makeMessage({ ...app, index: 9, logTerm: 2 }));
    group.deliver(makeMessage({ ...app, index: 1, logTerm: 1, entries: group.get(1).storage.entries(2, 4, 1e9) }));
    group.work(2);
    const answers = group.inTransit.map(({ index, reject, rejectHint }) => ({ index, reject, rejectHint }));
    assert.deepEqual(answers, [
      { index: 9, reject: true, rejectHint: 3 },
      { index: 3, reject: false, rejectHint: 0 },
    ]);
  });

  it("an entry that contradicts a committed one is a broken invariant", () => {
    const group = new Group();
    group.elect(1);
    const wrong = { term: 1, index: 2, type: "normal", data: bytes("wrong") } as const;
    const log = group.get(2).storage;
    assert.equal(log.term(2), 2);
    assert.equal(group.raw(2).basicStatus().commit, 2);
    assert.throws(
      () => group.deliver(makeMessage({ type: "heartbeat", from: 1, to: 2, term: 2, commit: 99 })),
      /corrupted/,
    );
    group.deliver(makeMessage({ type: "app", from: 1, to: 2, term: 2, index: 1, logTerm: 1, entries: [wrong] }));
    assert.equal(log.term(2), 2);
  });

  it("a follower behind the leader's snapshot is given it, and the log from there on", () => {
    const group = new Group();
    group.elect(1);
    group.isolate(3);
    for (let i = 0; i < 10; i++) group.raw(1).propose(bytes(`${i}`));
    group.settle();
    const { storage } = group.get(1);
    storage.createSnapshot(10, group.raw(1).status().confState, bytes("state"));
    storage.compact(10);
    group.heal();
    group.tick(1, 1);
    group.settle();
    assert.deepEqual(texts(group.get(3).applied), ["8", "9"]);
    assert.equal(Buffer.from(group.get(3).storage.snapshot().data).toString(), "state");
    assert.equal(group.raw(1).status().progress.get(3)?.state, "replicate");
  });

  it("a failed snapshot is sent again after a heartbeat", () => {
    const group = new Group();
    group.elect(1);
    group.isolate(3);
    for (let i = 0; i < 10; i++) group.raw(1).propose(bytes(`${i}`));
    group.settle();
    const { storage } = group.get(1);
    storage.createSnapshot(10, group.raw(1).status().confState, bytes("state"));
    storage.compact(10);
    group.passes = (m) => m.type !== "snap";
    group.tick(1, 1);
    group.settle();
    assert.equal(group.raw(1).status().progress.get(3)?.state, "snapshot");
    group.raw(1).reportSnapshot(3, "failure");
    group.heal();
    group.tick(1, 1);
    group.settle();
    assert.equal(group.get(3).storage.lastIndex(), 12);
  });
});

describe("limits", () => {
  it("bound the uncommitted payload of a leader, but let one proposal of any size through", () => {
    const group = new Group({ maxUncommittedEntriesSize: 10 });
    group.elect(1);
    group.isolate(1);
    group.raw(1).propose(new Uint8Array(100));
    assert.throws(
      () => group.raw(1).propose(bytes("x")),
      (error) => error instanceof ProposalDroppedError && error.reason === "uncommittedLimit",
    );
    group.raw(1).propose(new Uint8Array());
    group.heal();
    group.tick(1, 1);
    group.settle();
    assert.equal(group.raw(1).propose(bytes("x")), group.get(1).storage.lastIndex() + 1);
  });

  it("bound what is in flight to a follower by messages and by bytes", () => {
    for (const options of [{ maxInflightMsgs: 3 }, { maxInflightBytes: 30, maxSizePerMsg: 1 }]) {
      const group = new Group(options);
      group.elect(1);
      group.isolate(3);
      for (let i = 0; i < 10; i++) group.raw(1).propose(new Uint8Array(10));
      group.work(1);
      const progress = group.raw(1).status().progress.get(3);
      assert.equal(progress?.inflightMsgs, 3);
      assert.equal(progress.inflightFull, true);
      group.heal();
      group.tick(1, 2);
      group.settle();
      assert.equal(group.get(3).storage.lastIndex(), 12);
    }
  });

  it("bound an append message, which carries one entry in any case", () => {
    const group = new Group({ maxSizePerMsg: 40 });
    group.elect(1);
    group.isolate(3);
    for (let i = 0; i < 6; i++) group.raw(1).propose(new Uint8Array(i === 3 ? 500 : 10));
    group.settle();
    group.heal();
    const sizes: number[] = [];
    group.passes = (m) => {
      if (m.type === "app" && m.to === 3 && m.entries.length > 0) sizes.push(m.entries.length);
      return true;
    };
    group.tick(1, 1);
    group.settle();
    assert.deepEqual(sizes, [2, 1, 1, 2]);
  });

  it("bound the committed entries handed out at once", () => {
    const group = new Group({ voters: [1], maxCommittedSizePerReady: 40 });
    group.elect(1);
    for (let i = 0; i < 5; i++) group.raw(1).propose(new Uint8Array(10));
    const batches: number[] = [];
    const { raw, storage } = group.get(1);
    while (raw.hasReady()) {
      const ready = raw.ready();
      storage.append(ready.entries);
      if (ready.committedEntries.length > 0) batches.push(ready.committedEntries.length);
      raw.advance();
    }
    assert.deepEqual(batches, [2, 2, 1]);
  });
});
