/** Goes through the raft paper ("In Search of an Understandable Consensus Algorithm", extended version) section by section. */
import assert from "node:assert/strict";
import { makeMessage } from "./message.js";
import { Group, texts, type GroupOptions } from "./testing/group.js";
import type { Entry, Message, PeerId } from "./types.js";

const NOTHING = new Uint8Array();
const isVoting = (m: Message): boolean => m.type === "vote" || m.type === "voteResp";

/** Makes a group whose logs have entries of these terms, from index 1 on; all logs begin with an entry of term 1. */
function withLogs(logs: readonly (readonly number[])[], term: number, options: GroupOptions = {}): Group {
  const group = new Group({ voters: logs.map((_, i) => i + 1), ...options });
  logs.forEach((terms, i) => {
    const id = i + 1;
    const entries = terms.map((t, k): Entry => ({ term: t, index: k + 1, type: "normal", data: Buffer.from(`${t}`) }));
    group.get(id).storage.append(entries.slice(1));
    group.get(id).storage.setHardState({ term, vote: 0, commit: 1 });
    group.restart(id);
  });
  return group;
}

/** Returns the terms of a peer's log from index 1 on. */
function termsOf(group: Group, id: PeerId): number[] {
  const { storage } = group.get(id);
  return [1, ...storage.entries(2, storage.lastIndex() + 1, Number.MAX_SAFE_INTEGER).map((entry) => entry.term)];
}

/** Asks a peer for its vote; says whether it grants it. */
function grants(group: Group, to: PeerId, request: Partial<Message>): boolean {
  group.deliver(makeMessage({ type: "vote", from: 2, to, ...request }));
  group.work(to);
  const answer = group.inTransit.find((m) => m.type === "voteResp");
  group.inTransit = [];
  return answer?.reject === false;
}

function stateOf(group: Group, id: PeerId) {
  const { state, term, lead, vote } = group.raw(id).basicStatus();
  return { state, term, lead, vote };
}

describe("raft paper 5.1: terms", () => {
  it("whoever sees a higher term adopts it and follows, in whatever role", () => {
    for (const role of ["follower", "candidate", "leader"] as const) {
      const group = new Group();
      if (role === "candidate") group.raw(1).campaign();
      if (role === "leader") group.elect(1);
      assert.equal(stateOf(group, 1).state, role);
      group.deliver(makeMessage({ type: "app", from: 2, to: 1, term: 7, index: 1, logTerm: 1 }));
      assert.deepEqual(stateOf(group, 1), { state: "follower", term: 7, lead: 2, vote: 0 });
    }
  });

  it("what comes with an older term changes nothing", () => {
    const group = new Group();
    group.elect(1);
    const before = stateOf(group, 2);
    const entries: Entry[] = [{ term: 1, index: 2, type: "normal", data: NOTHING }];
    for (const type of ["app", "heartbeat", "vote", "voteResp", "appResp", "snap", "timeoutNow"] as const)
      group.deliver(makeMessage({ type, from: 3, to: 2, term: 1, index: 1, logTerm: 1, entries, commit: 9 }));
    assert.deepEqual(stateOf(group, 2), before);
    assert.deepEqual(termsOf(group, 2), [1, 2]);
  });
});

describe("raft paper 5.2: leader election", () => {
  it("peers start as followers, and a leader's heartbeats keep them so", () => {
    const group = new Group();
    for (const id of [1, 2, 3]) assert.equal(stateOf(group, id).state, "follower");
    group.elect(1);
    for (let tick = 0; tick < 100; tick++) {
      for (const id of [1, 2, 3]) group.tick(id, 1);
      group.settle();
    }
    assert.deepEqual(stateOf(group, 2), { state: "follower", term: 2, lead: 1, vote: 1 });
  });

  it("a timeout begins a new term with a vote for oneself and requests to all others at once, and repeats", () => {
    const group = new Group({ voters: [1, 2, 3, 4, 5], random: () => 0 });
    for (const round of [1, 2]) {
      group.tick(1, 10);
      assert.deepEqual(stateOf(group, 1), { state: "candidate", term: 1 + round, lead: 0, vote: 1 });
      group.work(1);
      assert.deepEqual(
        group.inTransit.map(({ type, to, term, index, logTerm }) => ({ type, to, term, index, logTerm })),
        [2, 3, 4, 5].map((to) => ({ type: "vote", to, term: 1 + round, index: 1, logTerm: 1 })),
      );
      group.inTransit = [];
    }
  });

  it("a majority of the whole group elects, anything less does not", () => {
    for (let size = 1; size <= 7; size++) {
      const needed = Math.floor(size / 2) + 1;
      for (let reachable = 1; reachable <= size; reachable++) {
        const group = new Group({ voters: Array.from({ length: size }, (_, i) => i + 1) });
        group.passes = (m) => m.to <= reachable && m.from <= reachable;
        group.elect(1);
        assert.equal(group.leaders().length, reachable >= needed ? 1 : 0, `${reachable} of ${size}`);
      }
    }
  });

  it("a candidate that hears from the leader of its own term follows it", () => {
    for (const type of ["app", "heartbeat", "snap"] as const) {
      const group = new Group();
      group.raw(1).campaign();
      group.deliver(makeMessage({ type, from: 2, to: 1, term: 2, index: 1, logTerm: 1 }));
      assert.deepEqual(stateOf(group, 1), { state: "follower", term: 2, lead: 2, vote: 1 });
    }
  });

  it("election timeouts spread over one to two times the configured one", () => {
    const seen = new Set<number>();
    for (let drawn = 0; drawn < 10; drawn++) {
      const group = new Group({ random: () => drawn });
      let ticks = 0;
      while (stateOf(group, 1).state === "follower") {
        group.tick(1, 1);
        ticks++;
      }
      seen.add(ticks);
    }
    assert.deepEqual(
      [...seen].sort((a, b) => a - b),
      [10, 11, 12, 13, 14, 15, 16, 17, 18, 19],
    );
  });
});

describe("raft paper 5.3: log replication", () => {
  it("a leader appends at once, sends to all in parallel, and commits when a majority has stored", () => {
    const group = new Group({ voters: [1, 2, 3, 4, 5] });
    group.elect(1);
    group.raw(1).propose(Buffer.from("x"));
    group.work(1);
    assert.deepEqual(
      group.inTransit.map(({ type, to, entries }) => [type, to, texts(entries)]),
      [2, 3, 4, 5].map((to) => ["app", to, ["x"]]),
    );
    const appends = group.inTransit;
    group.inTransit = [];
    for (const m of appends) {
      assert.equal(group.raw(1).basicStatus().commit, m.to <= 3 ? 2 : 3, `before peer ${m.to} stored it`);
      group.deliver(m);
      group.work(m.to);
      for (const answer of group.inTransit.splice(0)) group.deliver(answer);
      group.work(1);
      group.inTransit.length = 0;
    }
    assert.deepEqual(texts(group.get(1).applied), ["x"]);
  });

  it("followers learn what is committed, also of earlier terms, and apply it in order", () => {
    const group = withLogs([[1, 2, 2], [1, 2, 2], [1]], 2);
    group.elect(1);
    for (const { applied } of group.members.values())
      assert.deepEqual(
        applied.map(({ index, term }) => [index, term]),
        [
          [2, 2],
          [3, 2],
          [4, 3],
        ],
      );
  });

  it("a leader repeats an append for ever, to peers that crashed or lost it", () => {
    const group = new Group();
    group.elect(1);
    group.isolate(3);
    group.raw(1).propose(Buffer.from("x"));
    for (let tick = 0; tick < 200; tick++) {
      group.tick(1, 1);
      group.settle();
    }
    group.restart(3);
    group.heal();
    group.tick(1, 1);
    group.settle();
    assert.deepEqual(texts(group.get(3).applied), ["x"]);
  });

  it("figure 7: all six kinds of followers end with the leader's log", () => {
    const leader = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    const followers = [
      [1, 1, 1, 4, 4, 5, 5, 6, 6],
      [1, 1, 1, 4],
      [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
      [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
      [1, 1, 1, 4, 4, 4, 4],
      [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ];
    for (const limit of [0, 1000]) {
      const group = withLogs([leader, ...followers], 7, { maxSizePerMsg: limit });
      const refusals: PeerId[] = [];
      group.passes = (m) => {
        if (m.type === "voteResp" && m.reject) refusals.push(m.from);
        return true;
      };
      group.elect(1);
      assert.deepEqual(refusals, [4, 5], "the longer log of term 6 and the one of term 7");
      for (const id of [1, 2, 3, 4, 5, 6, 7]) {
        assert.deepEqual(termsOf(group, id), [...leader, 8], `peer ${id}`);
        assert.equal(group.raw(id).basicStatus().commit, 11);
      }
    }
  });
});

describe("raft paper 5.4.1: election restriction", () => {
  it("a vote goes only to a log whose last entry has a higher term, or the same and no lower index", () => {
    const mine = [1, 1, 3];
    const cases: readonly (readonly [index: number, logTerm: number, granted: boolean])[] = [
      [3, 3, true],
      [4, 3, true],
      [1, 4, true],
      [2, 3, false],
      [9, 2, false],
      [3, 2, false],
    ];
    for (const [index, logTerm, granted] of cases) {
      const group = withLogs([mine, mine, mine], 3);
      assert.equal(grants(group, 1, { term: 4, index, logTerm }), granted, `last entry ${logTerm}/${index}`);
    }
  });
});

describe("raft paper 5.4.2: committing entries from previous terms", () => {
  /** Leads to figure 8 (c): peer 1 leads term 4 and knows its entry of term 2 on a majority; peer 5 has one of term 3 in its place. */
  function figure8(): Group {
    const group = new Group({ voters: [1, 2, 3, 4, 5], maxSizePerMsg: 0 });
    const among =
      (...ids: readonly PeerId[]) =>
      (m: Message) =>
        ids.includes(m.from) && ids.includes(m.to);
    // (a) Peer 1 leads term 2 and replicates to peer 2 only.
    group.passes = (m) => isVoting(m) || among(1, 2)(m);
    group.elect(1);
    // (b) It crashes; peer 5 is elected for term 3 by 3 and 4, and gets no entry out.
    group.passes = (m) => isVoting(m) && among(2, 3, 4, 5)(m);
    group.elect(5);
    assert.deepEqual(
      [2, 3, 5].map((id) => termsOf(group, id)),
      [[1, 2], [1], [1, 3]],
    );
    // (c) It crashes; peer 1 comes back, is elected for term 4 and goes on replicating the entry of term 2, but none of term 4: that one
    // is lost but for the first, whose refusal shows that the peer lacks the older one.
    group.restart(1);
    group.restart(5);
    group.passes = (m) => isVoting(m) && among(1, 2, 3, 4)(m);
    while (group.raw(1).basicStatus().term < 4) group.elect(1);
    const probed = new Set<PeerId>();
    group.passes = (m) => {
      if (!among(1, 3, 4)(m)) return false;
      if (m.type !== "app" || !m.entries.some((entry) => entry.term === 4)) return true;
      const isFirst = !probed.has(m.to);
      probed.add(m.to);
      return isFirst;
    };
    group.tick(1, 1);
    group.settle();
    assert.deepEqual(
      [1, 2, 3, 4, 5].map((id) => termsOf(group, id)),
      [
        [1, 2, 4],
        [1, 2],
        [1, 2],
        [1, 2],
        [1, 3],
      ],
    );
    assert.deepEqual(
      [3, 4].map((id) => group.raw(1).status().progress.get(id)?.match),
      [2, 2],
    );
    return group;
  }

  it("figure 8 (c): an entry of an older term on a majority is not committed by that", () => {
    assert.equal(figure8().raw(1).basicStatus().commit, 1);
  });

  it("figure 8 (d): such an entry may still be overwritten, and nobody has applied it", () => {
    const group = figure8();
    group.isolate(1);
    while (!group.leaders().includes(5)) group.elect(5);
    for (const id of [2, 3, 4, 5]) assert.deepEqual(termsOf(group, id).slice(0, 2), [1, 3]);
    group.heal();
    group.tick(5, 1);
    group.settle();
    for (const { applied } of group.members.values()) assert.ok(applied.every((entry) => entry.term !== 2));
  });

  it("figure 8 (e): an entry of the leader's own term on a majority commits it too, and then nobody without it can win", () => {
    const group = figure8();
    group.isolate(4, 5);
    group.tick(1, 1);
    group.settle();
    assert.equal(group.raw(1).basicStatus().commit, 3);
    group.heal();
    group.isolate(1);
    for (let attempt = 0; attempt < 5; attempt++) group.elect(5);
    assert.deepEqual(group.leaders(), [1], "peer 5 lacks what is committed");
    group.elect(2);
    for (const id of [2, 3, 4, 5]) assert.deepEqual(termsOf(group, id).slice(0, 3), [1, 2, 4]);
  });
});

describe("raft paper 5.5: crashes of followers and candidates", () => {
  it("messages may come twice, late, or in another order", () => {
    const group = new Group();
    group.elect(1);
    group.passes = (m) => m.to !== 3 && m.from !== 3;
    const late: Message[] = [];
    for (let i = 0; i < 4; i++) {
      group.raw(1).propose(Buffer.from(`${i}`));
      group.settle();
      const from = group.get(1).storage.lastIndex();
      const { storage } = group.get(1);
      const fields = { type: "app", from: 1, to: 3, term: 2, index: from - 1, logTerm: 2, commit: from } as const;
      late.push(makeMessage({ ...fields, entries: storage.entries(from, from + 1, 1000) }));
    }
    for (const m of [...late].reverse()) group.deliver(m);
    for (const m of [...late, ...late.slice(0, 2), ...late]) group.deliver(m);
    group.work(3);
    assert.deepEqual(texts(group.get(3).applied), ["0", "1", "2", "3"]);
  });
});

describe("raft paper 7: log compaction", () => {
  /** Gives peer 3, whose log has entries of these terms, a snapshot at index 3 whose last entry is of `term`. */
  function install(terms: readonly number[], term: number): Group {
    const group = withLogs([[1], [1], terms], 3);
    const { confState } = group.raw(3).status();
    const snapshot = { metadata: { index: 3, term, confState }, data: Buffer.from("state") };
    group.deliver(makeMessage({ type: "snap", from: 1, to: 3, term: 3, snapshot }));
    group.work(3);
    return group;
  }

  it("a snapshot of what the log has keeps the entries after it", () => {
    const group = install([1, 2, 2, 2], 2);
    assert.deepEqual(termsOf(group, 3), [1, 2, 2, 2]);
    assert.equal(group.raw(3).basicStatus().commit, 3);
  });

  it("a snapshot that the log contradicts, or does not reach, replaces it", () => {
    for (const terms of [[1, 2, 2, 2], [1]]) {
      const { storage } = install(terms, 3).get(3);
      assert.deepEqual([storage.firstIndex(), storage.lastIndex(), storage.term(3)], [4, 3, 3]);
    }
  });

  it("an old snapshot changes nothing", () => {
    const group = install([1, 3, 3, 3], 3);
    const { confState } = group.raw(3).status();
    const snapshot = { metadata: { index: 2, term: 3, confState }, data: NOTHING };
    group.deliver(makeMessage({ type: "snap", from: 1, to: 3, term: 3, snapshot }));
    group.work(3);
    assert.deepEqual(termsOf(group, 3), [1, 3, 3, 3]);
    assert.equal(group.inTransit.at(-1)?.index, 3, "it tells what it has");
  });
});

describe("raft paper 8: client interaction", () => {
  it("a leader commits an empty entry at the start of its term, and so learns what is committed", () => {
    const group = withLogs(
      [
        [1, 2, 2],
        [1, 2, 2],
        [1, 2],
      ],
      2,
    );
    assert.equal(group.raw(1).basicStatus().commit, 1);
    group.elect(1);
    assert.equal(group.raw(1).basicStatus().commit, 4);
    assert.equal(group.get(1).applied.at(-1)?.data.length, 0);
  });

  it("a leader that was deposed without knowing serves no read", () => {
    const group = new Group();
    group.elect(1);
    group.isolate(1);
    group.elect(2);
    group.raw(2).propose(Buffer.from("newer"));
    group.settle();
    assert.equal(stateOf(group, 1).state, "leader");
    group.raw(1).readIndex(Buffer.from("r"));
    group.tick(1, 5);
    group.settle();
    group.heal();
    group.settle();
    assert.deepEqual(group.get(1).reads, []);
  });

  it("a leader answers a read with what was committed when it came, after heartbeats of a majority", () => {
    const group = new Group();
    group.elect(1);
    group.raw(1).propose(Buffer.from("x"));
    group.settle();
    group.raw(1).readIndex(Buffer.from("r"));
    group.work(1);
    assert.deepEqual(
      group.inTransit.map((m) => [m.type, m.to]),
      [
        ["heartbeat", 2],
        ["heartbeat", 3],
      ],
    );
    group.settle();
    assert.deepEqual(group.get(1).reads, [{ context: "r", index: 3 }]);
  });
});
