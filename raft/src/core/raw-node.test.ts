import assert from "node:assert/strict";
import { makeMessage } from "./message.js";
import { MemoryStorage } from "./memory-storage.js";
import { RawNode } from "./raw-node.js";
import { Group } from "./testing/group.js";
import { LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, type Message, type RaftConfig } from "./types.js";

function single(
  options: Partial<RaftConfig> = {},
  voters: readonly number[] = [1],
  storage = new MemoryStorage(),
): RawNode {
  const confState = { voters, learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
  storage.applySnapshot({ metadata: { confState, index: 1, term: 1 }, data: new Uint8Array() });
  return new RawNode({ id: 1, electionTick: 10, heartbeatTick: 1, storage, applied: 1, random: () => 0, ...options });
}

describe("RawNode", () => {
  it("has nothing to do when it starts, and after everything is done", () => {
    const group = new Group({ voters: [1] });
    assert.equal(group.raw(1).hasReady(), false);
    group.elect(1);
    assert.equal(group.raw(1).hasReady(), false);
    const { messages, entries, softState, hardState, mustSync } = group.raw(1).ready();
    assert.deepEqual(
      { messages, entries, softState, hardState, mustSync },
      {
        messages: [],
        entries: [],
        softState: undefined,
        hardState: undefined,
        mustSync: false,
      },
    );
  });

  it("does not let a host forget to advance", () => {
    const raw = single();
    raw.campaign();
    raw.ready();
    assert.throws(() => raw.ready(), /without advance/);
  });

  it("refuses what only a host may say, and answers of strangers", () => {
    const raw = single({}, [1, 2]);
    assert.equal(raw.step(makeMessage({ type: "hup", from: 2 })), "localMessage");
    assert.equal(raw.step(makeMessage({ type: "storageAppendResp", from: 2, index: 9 })), "localMessage");
    assert.equal(raw.step(makeMessage({ type: "appResp", from: 7, term: 1 })), "unknownPeer");
    assert.equal(
      raw.step(
        makeMessage({
          type: "prop",
          from: 2,
          entries: [{ term: 0, index: 0, type: "normal", data: new Uint8Array() }],
        }),
      ),
      "proposalDropped",
    );
    assert.equal(raw.step(makeMessage({ type: "heartbeat", from: 2, term: 1 })), "ok");
  });

  it("refuses terms and indexes that are no safe integers", () => {
    const raw = single();
    for (const wrong of [{ term: 2 ** 53 }, { index: -1 }, { commit: 0.5 }, { logTerm: Number.NaN }]) {
      assert.throws(() => raw.step(makeMessage({ type: "app", from: 2, ...wrong })), RangeError);
    }
  });

  it("names the option that is wrong", () => {
    assert.throws(() => single({ id: 0 }), /id is 0/);
    assert.throws(() => single({ heartbeatTick: 10 }), /electionTick is 10/);
    assert.throws(() => single({ maxInflightMsgs: 0 }), /maxInflightMsgs is 0/);
    assert.throws(() => single({ maxSizePerMsg: 10, maxInflightBytes: 5 }), /maxInflightBytes is 5/);
  });

  it("tells the proposer the index, several entries get consecutive ones", () => {
    const group = new Group();
    group.elect(1);
    assert.equal(group.raw(1).propose(Buffer.from("a")), 3);
    assert.equal(group.raw(1).proposeMany([Buffer.from("b"), Buffer.from("c")]), 4);
    assert.equal(group.raw(2).propose(Buffer.from("d")), 0);
    group.settle();
    assert.equal(group.raw(1).basicStatus().applied, 6);
  });

  it("tells why a proposal was dropped", () => {
    const leaderless = single({}, [1, 2]);
    assert.throws(() => leaderless.propose(new Uint8Array()), { code: "PROPOSAL_DROPPED", reason: "noLeader" });
    const group = new Group({ disableProposalForwarding: true });
    group.elect(1);
    assert.throws(() => group.raw(2).propose(new Uint8Array()), { reason: "forwardingDisabled" });
  });

  it("lets one membership change in at a time", () => {
    const group = new Group();
    group.elect(1);
    const context = new Uint8Array();
    const change = { transition: "auto", changes: [{ type: "removeNode", nodeId: 3 }], context } as const;
    assert.equal(group.raw(1).proposeConfChange(change), 3);
    assert.throws(() => group.raw(1).proposeConfChange(change), { code: "CONF_CHANGE_BUSY" });
    group.settle();
    assert.deepEqual(group.raw(1).status().confState.voters, [1, 2]);
    const leave = { transition: "auto", changes: [], context } as const;
    assert.throws(() => group.raw(1).proposeConfChange(leave), { code: "OPERATION_REFUSED" });
  });

  it("keeps a change out of the log that no peer could apply", () => {
    const group = new Group({ voters: [1] });
    group.elect(1);
    const change = {
      transition: "auto",
      changes: [{ type: "removeNode", nodeId: 1 }],
      context: new Uint8Array(),
    } as const;
    assert.throws(() => group.raw(1).proposeConfChange(change), { code: "OPERATION_REFUSED" });
    group.settle();
    assert.deepEqual(group.leaders(), [1]);
    assert.equal(group.raw(1).basicStatus().applied, 3);
  });

  it("replaces several voters at once and leaves the joint configuration by itself", () => {
    const group = new Group({ voters: [1, 2, 3], learners: [4, 5] });
    group.elect(1);
    const changes = [
      { type: "addNode", nodeId: 4 },
      { type: "addNode", nodeId: 5 },
      { type: "removeNode", nodeId: 2 },
      { type: "removeNode", nodeId: 3 },
    ] as const;
    group.raw(1).proposeConfChange({ transition: "auto", changes, context: new Uint8Array() });
    group.settle();
    const { confState } = group.raw(1).status();
    assert.deepEqual(confState, {
      voters: [1, 4, 5],
      learners: [],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    });
    assert.deepEqual(group.raw(5).status().confState, confState);
  });

  it("reuses the cheap status and copies the full one", () => {
    const group = new Group();
    const before = group.raw(1).basicStatus();
    const full = group.raw(1).status();
    group.elect(1);
    assert.equal(group.raw(1).basicStatus(), before);
    assert.equal(before.state, "leader");
    assert.equal(full.state, "follower");
    assert.deepEqual([...group.raw(1).status().progress.keys()], [1, 2, 3]);
    assert.equal(group.raw(2).status().progress.size, 0);
  });
});

describe("RawNode with asynchronous storage writes", () => {
  const orders = (messages: readonly Message[], to: number): Message[] => messages.filter((m) => m.to === to);

  /** Carries out an order and delivers its responses. */
  function perform(raw: RawNode, storage: MemoryStorage, order: Message | undefined): void {
    assert.ok(order !== undefined);
    if (order.type === "storageAppend") storage.append(order.entries);
    for (const response of order.responses ?? []) raw.step(response);
  }

  /** Elects the only voter, doing all writes; the empty entry of its term is committed and applied. */
  function elected(): { raw: RawNode; storage: MemoryStorage } {
    const storage = new MemoryStorage();
    const raw = single({ asyncStorageWrites: true }, [1], storage);
    raw.campaign();
    while (raw.hasReady()) for (const m of raw.ready().messages) perform(raw, storage, m);
    assert.equal(raw.basicStatus().applied, 2);
    return { raw, storage };
  }

  it("counts its own vote only once the vote is stored", () => {
    const raw = single({ asyncStorageWrites: true });
    raw.campaign();
    const [order] = raw.ready().messages;
    assert.equal(order?.type, "storageAppend");
    assert.deepEqual([order.term, order.vote, order.commit], [1, 1, 1]);
    assert.equal(raw.basicStatus().state, "candidate");
    for (const response of order.responses ?? []) raw.step(response);
    assert.equal(raw.basicStatus().state, "leader");
  });

  it("hands out entries while earlier ones are being written, and commits them in the order of their responses", () => {
    const { raw, storage } = elected();
    raw.propose(Buffer.from("a"));
    const [first] = orders(raw.ready().messages, LOCAL_APPEND_THREAD);
    raw.propose(Buffer.from("b"));
    const [second] = orders(raw.ready().messages, LOCAL_APPEND_THREAD);
    assert.deepEqual([first?.entries.map((e) => e.index), second?.entries.map((e) => e.index)], [[3], [4]]);
    assert.equal(raw.basicStatus().commit, 2);
    perform(raw, storage, first);
    assert.equal(raw.basicStatus().commit, 3);
    perform(raw, storage, second);
    assert.equal(raw.basicStatus().commit, 4);
  });

  it("hands out committed entries only once they are stored here, and applies when told so", () => {
    const { raw, storage } = elected();
    raw.propose(Buffer.from("a"));
    const { messages } = raw.ready();
    const [append] = orders(messages, LOCAL_APPEND_THREAD);
    assert.equal(orders(messages, LOCAL_APPLY_THREAD).length, 0);
    perform(raw, storage, append);
    const [apply] = orders(raw.ready().messages, LOCAL_APPLY_THREAD);
    assert.deepEqual(
      apply?.entries.map((e) => e.index),
      [3],
    );
    assert.equal(raw.basicStatus().applied, 2);
    perform(raw, storage, apply);
    assert.equal(raw.basicStatus().applied, 3);
  });

  it("has no use for advance()", () => {
    assert.throws(() => elected().raw.advance(), /asynchronous/);
  });
});
