import assert from "node:assert/strict";
import { makeMessage } from "./message.js";
import { Group } from "./testing/group.js";
import { TRANSFER_CONTEXT } from "./raft.js";
import type { Message, PeerId } from "./types.js";

/** Asks a peer for its vote and returns its answer. */
function askForVote(group: Group, to: PeerId, request: Partial<Message>): Message | undefined {
  group.raw(to).step(makeMessage({ type: "vote", to, from: 2, term: 2, index: 1, logTerm: 1, ...request }));
  group.work(to);
  const answer = group.inTransit.find((m) => m.from === to && (m.type === "voteResp" || m.type === "preVoteResp"));
  group.inTransit = [];
  return answer;
}

describe("elections (thesis 3.4, 3.6, 9.6)", () => {
  it("a peer votes once per term, and again only for the same candidate", () => {
    const group = new Group();
    assert.equal(askForVote(group, 1, { from: 2 })?.reject, false);
    assert.equal(askForVote(group, 1, { from: 3 })?.reject, true);
    assert.equal(askForVote(group, 1, { from: 2 })?.reject, false);
    assert.equal(askForVote(group, 1, { from: 3, term: 3 })?.reject, false);
  });

  it("a vote survives a restart", () => {
    const group = new Group();
    askForVote(group, 1, { from: 2 });
    group.restart(1);
    assert.equal(askForVote(group, 1, { from: 3 })?.reject, true);
  });

  it("a vote waits until it is stored", () => {
    const group = new Group();
    const raw = group.raw(1);
    raw.step(makeMessage({ type: "vote", to: 1, from: 2, term: 2, index: 1, logTerm: 1 }));
    const ready = raw.ready();
    assert.equal(ready.mustSync, true);
    assert.deepEqual(ready.hardState, { term: 2, vote: 2, commit: 1 });
  });

  it("a candidate whose log is behind gets no vote", () => {
    const group = new Group();
    group.elect(1);
    assert.equal(askForVote(group, 3, { term: 9, index: 1, logTerm: 1 })?.reject, true);
    assert.equal(
      askForVote(group, 3, { term: 10, index: 9, logTerm: 1 })?.reject,
      true,
      "longer, but of an older term",
    );
    assert.equal(
      askForVote(group, 3, { term: 11, index: 1, logTerm: 3 })?.reject,
      false,
      "shorter, but of a newer term",
    );
    assert.equal(askForVote(group, 3, { term: 12, index: 2, logTerm: 2 })?.reject, false, "equal");
  });

  it("a split vote elects nobody, and the next term decides", () => {
    const group = new Group({ voters: [1, 2, 3, 4] });
    group.raw(1).campaign();
    group.raw(2).campaign();
    group.work(1);
    group.work(2);
    const [first, second] = [1, 2].map((from) => group.inTransit.filter((m) => m.from === from));
    group.inTransit = [];
    for (const m of [...(first ?? []).filter((m) => m.to === 3), ...(second ?? []).filter((m) => m.to === 4)])
      group.deliver(m);
    for (const m of [...(first ?? []), ...(second ?? [])]) group.deliver(m);
    group.settle();
    assert.deepEqual(group.leaders(), []);
    group.elect(1);
    assert.deepEqual(group.leaders(), [1]);
  });

  it("a peer that hears nothing campaigns within twice the election timeout", () => {
    const group = new Group();
    group.tick(1, 9);
    assert.equal(group.raw(1).basicStatus().state, "follower");
    group.tick(1, 11);
    assert.equal(group.raw(1).basicStatus().state, "candidate");
  });

  it("a pre-candidate changes neither its term nor anybody else's until a majority would vote for it", () => {
    const group = new Group({ preVote: true });
    group.isolate(3);
    group.elect(3);
    assert.deepEqual(
      { ...group.raw(3).basicStatus() },
      { ...group.raw(3).basicStatus(), state: "preCandidate", term: 1 },
    );
    group.heal();
    group.elect(3);
    assert.equal(group.raw(3).basicStatus().state, "leader");
    assert.equal(group.raw(3).basicStatus().term, 2);
  });

  it("a peer with a live leader ignores candidates under quorum checks, unless the leader sent them", () => {
    const group = new Group({ checkQuorum: true });
    group.elect(1);
    const last = { index: 2, logTerm: 2 };
    assert.equal(askForVote(group, 2, { from: 3, term: 5, ...last }), undefined);
    assert.equal(group.raw(2).basicStatus().term, 2);
    assert.equal(askForVote(group, 2, { from: 3, term: 5, ...last, context: TRANSFER_CONTEXT })?.reject, false);
  });

  it("a leader that hears from no majority for an election timeout steps down", () => {
    const group = new Group({ checkQuorum: true });
    group.elect(1);
    group.tick(1, 10);
    group.settle();
    assert.deepEqual(group.leaders(), [1], "the answers of the last interval count");
    group.isolate(1);
    for (let i = 0; i < 20; i++) {
      group.tick(1, 1);
      group.settle();
    }
    assert.deepEqual(group.leaders(), []);
  });

  it("a learner never campaigns, and votes when asked", () => {
    const group = new Group({ voters: [1, 2], learners: [3] });
    group.tick(3, 100);
    group.raw(3).campaign();
    assert.equal(group.raw(3).basicStatus().state, "follower");
    assert.equal(askForVote(group, 3, { from: 2 })?.reject, false);
  });

  it("a follower that forgets its leader votes at once in the same term or the next", () => {
    const group = new Group({ checkQuorum: true });
    group.elect(1);
    group.raw(2).forgetLeader();
    assert.equal(group.raw(2).basicStatus().lead, 0);
    assert.equal(askForVote(group, 2, { from: 3, term: 3, index: 2, logTerm: 2 })?.reject, false);
  });
});
