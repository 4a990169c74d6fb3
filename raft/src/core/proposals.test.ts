import assert from "node:assert/strict";
import { ProposalDroppedError, type DropReason } from "./errors.js";
import { makeMessage } from "./message.js";
import { Group, texts } from "./testing/group.js";
import type { PeerId } from "./types.js";

const data = (text: string): Uint8Array => Buffer.from(text);

/** Proposes and says why the proposal was dropped, if it was. */
function dropOf(group: Group, id: PeerId, payload = data("x")): DropReason | undefined {
  try {
    group.raw(id).propose(payload);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof ProposalDroppedError && error.code === "PROPOSAL_DROPPED", String(error));
    return error.reason;
  }
}

describe("proposals", () => {
  it("on a follower go to its leader, and are applied everywhere", () => {
    const group = new Group();
    group.elect(1);
    assert.equal(group.raw(3).propose(data("far")), 0, "the index is not known here");
    assert.equal(group.raw(3).proposeMany([data("a"), data("b")]), 0);
    group.settle();
    for (const { applied } of group.members.values()) assert.deepEqual(texts(applied), ["far", "a", "b"]);
  });

  it("count in whatever term their receiver leads", () => {
    const group = new Group();
    group.elect(1);
    group.raw(3).propose(data("late"));
    group.work(3);
    const forwarded = group.inTransit;
    group.inTransit = [];
    assert.deepEqual(
      forwarded.map(({ type, to, from, term }) => ({ type, to, from, term })),
      [{ type: "prop", to: 1, from: 3, term: 0 }],
    );
    group.elect(2);
    group.elect(1);
    group.inTransit = forwarded;
    group.settle();
    assert.deepEqual(texts(group.get(2).applied), ["late"]);
  });

  it("stay where they are when forwarding is off", () => {
    const group = new Group({ disableProposalForwarding: true });
    group.elect(1);
    assert.equal(dropOf(group, 2), "forwardingDisabled");
    group.work(2);
    assert.deepEqual(group.inTransit, []);
    assert.equal(dropOf(group, 1), undefined);
  });

  it("say why they were dropped, and drop nothing silently where they were made", () => {
    const group = new Group({ maxUncommittedEntriesSize: 4, stepDownOnRemoval: false });
    assert.equal(dropOf(group, 1), "noLeader");
    group.raw(1).campaign();
    assert.equal(dropOf(group, 1), "noLeader", "a candidate has no leader either");
    group.settle();
    group.isolate(1);
    assert.equal(dropOf(group, 1, data("1234567")), undefined);
    assert.equal(dropOf(group, 1), "uncommittedLimit");
    group.raw(1).transferLeader(2);
    assert.equal(dropOf(group, 1), "transferring");
    group.raw(1).transferLeader(1);
    const changes = [{ type: "removeNode", nodeId: 1 }] as const;
    group.raw(1).applyConfChange({ transition: "auto", changes, context: new Uint8Array() });
    assert.equal(dropOf(group, 1), "removed");
  });

  it("that a leader drops after they were forwarded are no error of the message that brought them", () => {
    const group = new Group();
    group.elect(1);
    group.raw(1).transferLeader(2);
    const entries = [{ term: 0, index: 0, type: "normal", data: data("x") }] as const;
    assert.equal(group.raw(1).step(makeMessage({ type: "prop", from: 3, to: 1, entries })), "proposalDropped");
  });

  it("of several entries enter all or none", () => {
    const group = new Group({ maxUncommittedEntriesSize: 4 });
    group.elect(1);
    group.isolate(1);
    group.raw(1).propose(data("ab"));
    assert.throws(() => group.raw(1).proposeMany([data("c"), data("de")]), { reason: "uncommittedLimit" });
    assert.equal(group.raw(1).proposeMany([data("c"), data("d")]), 4);
    group.heal();
    group.tick(1, 1);
    group.settle();
    assert.deepEqual(texts(group.get(2).applied), ["ab", "c", "d"]);
  });

  it("find room again as what was uncommitted is applied, by its bytes", () => {
    const group = new Group({ maxUncommittedEntriesSize: 8 });
    group.elect(1);
    for (let round = 0; round < 5; round++) {
      group.isolate(1);
      assert.equal(dropOf(group, 1, data("1234")), undefined);
      assert.equal(dropOf(group, 1, data("5678")), undefined);
      assert.equal(dropOf(group, 1), "uncommittedLimit");
      group.heal();
      group.tick(1, 1);
      group.settle();
    }
  });

  it("without entries are refused", () => {
    const group = new Group();
    group.elect(1);
    assert.throws(() => group.raw(1).proposeMany([]), { code: "INVALID_ARGUMENT" });
    assert.equal(group.raw(1).step(makeMessage({ type: "prop", from: 2, to: 1 })), "proposalDropped");
  });
});
