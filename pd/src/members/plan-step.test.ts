import { strict as assert } from "node:assert";
import type { GroupProgress } from "./member-group.js";
import type { MemberRecord, MemberState } from "./member.js";
import { pickHeir, planStep, removalRefusal } from "./plan-step.js";

const LEADER = 1;
const record = (memberId: number, state: MemberState, address = "x:1"): MemberRecord => ({
  ...{ memberId, name: `m${memberId}`, address, incarnation: 1, version: "", featureLevel: 1, state, uuid: "00" },
});
const peer = (memberId: number, over: Partial<GroupProgress> = {}): GroupProgress => ({
  ...{ memberId, isVoter: true, isCaughtUp: true, silentMs: memberId === LEADER ? 0 : 50 },
  ...over,
});
const silent = { silentMs: 3_000 };

describe("planStep", () => {
  it("takes a new member in as a learner, once its address is known, and makes it a voter when it has caught up", () => {
    const [old, fresh] = [record(1, "member"), record(2, "joining")];
    assert.equal(planStep([old, record(2, "joining", "")], [peer(1)], LEADER), undefined);
    assert.deepEqual(planStep([old, fresh], [peer(1)], LEADER), { kind: "addLearner", memberId: 2 });
    const lagging = peer(2, { isVoter: false, isCaughtUp: false });
    assert.equal(planStep([old, fresh], [peer(1), lagging], LEADER), undefined);
    const ready = peer(2, { isVoter: false });
    assert.deepEqual(planStep([old, fresh], [peer(1), ready], LEADER), { kind: "promote", memberId: 2 });
    const settle = { kind: "settle", memberId: 2, state: "member" };
    assert.deepEqual(planStep([old, fresh], [peer(1), peer(2)], LEADER), settle);
    assert.equal(planStep([old, record(2, "member")], [peer(1), peer(2)], LEADER), undefined);
  });

  it("makes no voter that is silent, nor one whose vote the live ones could not do without", () => {
    const records = [record(1, "member"), record(2, "member"), record(3, "member"), record(4, "joining")];
    const joining = peer(4, { isVoter: false });
    const three = [peer(1), peer(2), peer(3)];
    assert.equal(planStep(records, [...three, { ...joining, ...silent }], LEADER), undefined);
    assert.equal(planStep(records, [peer(1), peer(2, silent), peer(3, silent), joining], LEADER), undefined);
    assert.equal(planStep(records, [peer(1), peer(2), peer(3, silent), joining], LEADER)?.kind, "promote");
  });

  it("removes before it adds, moves leadership away first, and ends with the record", () => {
    const records = [record(1, "removing"), record(2, "member"), record(3, "member"), record(4, "joining")];
    const all = [peer(1), peer(2, { isCaughtUp: false }), peer(3)];
    assert.deepEqual(planStep(records, all, LEADER), { kind: "handOver", memberId: 3 });
    assert.deepEqual(planStep(records, all, 3), { kind: "remove", memberId: 1 });
    assert.deepEqual(planStep(records, [peer(2), peer(3)], 3), { kind: "settle", memberId: 1, state: "removed" });
  });

  it("never removes a voter that the majority cannot spare, but a learner always", () => {
    const records = [record(1, "member"), record(2, "removing"), record(3, "member")];
    assert.equal(planStep(records, [peer(1), peer(2), peer(3, silent)], LEADER), undefined);
    assert.deepEqual(planStep(records, [peer(1), peer(2, silent), peer(3)], LEADER), { kind: "remove", memberId: 2 });
    const learner = peer(2, { isVoter: false });
    assert.deepEqual(planStep(records, [peer(1), learner, peer(3, silent)], LEADER), { kind: "remove", memberId: 2 });
  });
});

describe("removalRefusal", () => {
  it("counts the voters that would be left", () => {
    assert.match(removalRefusal(1, [peer(1)]) ?? "", /last voter/);
    const five = [peer(1), peer(2), peer(3, silent), peer(4, silent), peer(5)];
    assert.match(removalRefusal(2, five) ?? "", /of the 4 voters left 2 would be live, 3 are needed/);
    assert.equal(removalRefusal(3, five), undefined);
    assert.equal(removalRefusal(9, five), undefined);
  });
});

describe("pickHeir", () => {
  it("prefers who has caught up and never takes who is silent or a learner", () => {
    assert.equal(pickHeir(1, [peer(1), peer(2, silent), peer(3, { isVoter: false })]), undefined);
    assert.equal(pickHeir(1, [peer(1), peer(2, { isCaughtUp: false }), peer(3)]), 3);
    assert.equal(pickHeir(1, [peer(1), peer(2, { isCaughtUp: false })]), 2);
  });
});
