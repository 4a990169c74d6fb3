import assert from "node:assert/strict";
import { MemoryStorage } from "./memory-storage.js";
import { makeMessage } from "./message.js";
import { RawNode } from "./raw-node.js";
import { Group, texts } from "./testing/group.js";
import type { ConfState, Entry, HardState, RaftConfig } from "./types.js";

const MEMBERS: ConfState = { voters: [1, 2, 3], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };

function entry(index: number, term: number): Entry {
  return { term, index, type: "normal", data: Buffer.from(`${index}`) };
}

/** Makes a disk with a snapshot of everything up to `snapshot`, and entries after it. */
function disk(snapshot: number, entries: readonly Entry[], hardState: HardState): MemoryStorage {
  const storage = new MemoryStorage();
  storage.applySnapshot({ metadata: { confState: MEMBERS, index: snapshot, term: 1 }, data: Buffer.from("state") });
  storage.append(entries);
  storage.setHardState(hardState);
  return storage;
}

function start(storage: MemoryStorage, options: Partial<RaftConfig> = {}): RawNode {
  return new RawNode({ id: 1, electionTick: 10, heartbeatTick: 1, storage, random: () => 0, ...options });
}

function appliedAfterStart(raw: RawNode): string[] {
  const applied: Entry[] = [];
  while (raw.hasReady()) {
    applied.push(...raw.ready().committedEntries);
    raw.advance();
  }
  return texts(applied);
}

describe("a restart from storage", () => {
  const log = [entry(6, 1), entry(7, 2), entry(8, 2)];

  it("resumes term, vote, commit index, log and membership, as a follower", () => {
    const raw = start(disk(5, log, { term: 3, vote: 2, commit: 7 }), { applied: 5 });
    const { term, vote, commit, lead, state, applied, confState, firstIndex, lastIndex } = raw.status();
    assert.deepEqual(
      { term, vote, commit, lead, state, applied, confState, firstIndex, lastIndex },
      {
        term: 3,
        vote: 2,
        commit: 7,
        lead: 0,
        state: "follower",
        applied: 5,
        confState: MEMBERS,
        firstIndex: 6,
        lastIndex: 8,
      },
    );
  });

  it("hands out what is committed and not applied, and nothing twice", () => {
    const hardState = { term: 2, vote: 0, commit: 7 };
    assert.deepEqual(appliedAfterStart(start(disk(5, log, hardState))), ["6", "7"], "applied counts from the snapshot");
    assert.deepEqual(appliedAfterStart(start(disk(5, log, hardState), { applied: 6 })), ["7"]);
    assert.deepEqual(appliedAfterStart(start(disk(5, log, hardState), { applied: 7 })), []);
  });

  it("does not write, or ask for a vote again, what it has", () => {
    const raw = start(disk(5, log, { term: 2, vote: 1, commit: 7 }), { applied: 7 });
    assert.equal(raw.hasReady(), false);
  });

  it("keeps its vote: nobody else gets one in that term", () => {
    const raw = start(disk(5, log, { term: 3, vote: 2, commit: 7 }), { applied: 7 });
    for (const from of [3, 2]) raw.step(makeMessage({ type: "vote", from, to: 1, term: 3, index: 8, logTerm: 2 }));
    assert.deepEqual(
      raw.ready().messages.map(({ to, reject }) => [to, reject]),
      [
        [3, true],
        [2, false],
      ],
    );
  });

  it("refuses to start from what contradicts itself", () => {
    const beyond = disk(5, log, { term: 2, vote: 0, commit: 9 });
    assert.throws(() => start(beyond), /commit 9 is not within \[5, 8\]/);
    const before = disk(5, log, { term: 2, vote: 0, commit: 3 });
    assert.throws(() => start(before), /commit 3 is not within \[5, 8\]/);
    const unapplied = disk(5, log, { term: 2, vote: 0, commit: 7 });
    assert.throws(() => start(unapplied, { applied: 8 }), /applied index 8 is not within \[5, 7\]/);
    assert.throws(() => start(disk(5, log, { term: 2, vote: 0, commit: 7 }), { applied: 4 }), /applied index 4/);
  });

  it("of a peer alone with a snapshot and nothing after it follows and catches up", () => {
    const group = new Group();
    group.elect(1);
    for (let i = 0; i < 5; i++) group.raw(1).propose(Buffer.from(`${i}`));
    group.settle();
    const { storage } = group.get(3);
    storage.createSnapshot(7, MEMBERS, Buffer.from("state"));
    storage.compact(7);
    group.restart(3);
    group.raw(1).propose(Buffer.from("after"));
    group.settle();
    group.tick(1, 1);
    group.settle();
    assert.deepEqual(texts(group.get(3).applied), ["after"]);
    group.elect(3);
    assert.deepEqual(group.leaders(), [3]);
  });

  it("of all peers at once loses nothing that was committed", () => {
    const group = new Group();
    group.elect(1);
    group.raw(1).propose(Buffer.from("kept"));
    group.settle();
    for (const id of [1, 2, 3]) group.restart(id);
    assert.deepEqual(group.leaders(), []);
    group.elect(2);
    for (const { applied } of group.members.values()) assert.deepEqual(texts(applied), ["kept"]);
  });

  it("in the middle of a joint configuration goes on in it", () => {
    const group = new Group({ voters: [1, 2, 3], learners: [4] });
    group.elect(1);
    const changes = [
      { type: "addNode", nodeId: 4 },
      { type: "removeNode", nodeId: 3 },
    ] as const;
    group.raw(1).proposeConfChange({ transition: "jointExplicit", changes, context: new Uint8Array() });
    group.settle();
    const joint = { voters: [1, 2, 4], votersOutgoing: [1, 2, 3], learners: [], learnersNext: [], autoLeave: false };
    assert.deepEqual(group.raw(1).status().confState, joint);
    for (const [id, { storage }] of group.members) {
      storage.createSnapshot(3, joint, Buffer.from("state"));
      storage.compact(3);
      group.restart(id);
    }
    group.elect(2);
    assert.deepEqual(group.raw(2).status().confState, joint);
    group.raw(2).proposeConfChange({ transition: "auto", changes: [], context: new Uint8Array() });
    group.settle();
    assert.deepEqual(group.raw(4).status().confState.voters, [1, 2, 4]);
    assert.deepEqual(group.raw(4).status().confState.votersOutgoing, []);
  });
});
