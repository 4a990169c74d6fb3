import { deepEqual, equal, throws } from "node:assert/strict";
import { generationOf, nextGenerationTerm } from "./generation.js";
import { makeMessage, MemoryStorage, RawNode } from "./index.js";
import type { ConfState, Entry, Message } from "./types.js";

const T = 256 * 2 ** 32;
const conf = (...voters: number[]): ConfState => ({
  voters,
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
});

/** A peer of {1, 2, 3} whose log has entries of these terms, committed and applied as said. */
function peer(
  terms: readonly number[],
  term: number,
  commit: number,
  applied: number,
  storage = new MemoryStorage(),
): RawNode {
  const entries = terms.map((of, i): Entry => ({ index: i + 1, term: of, type: "normal", data: Buffer.alloc(0) }));
  storage.append(entries);
  storage.createSnapshot(0, conf(1, 2, 3), Buffer.alloc(0));
  storage.setHardState({ term, vote: 0, commit });
  return new RawNode({
    id: 1,
    electionTick: 10,
    heartbeatTick: 1,
    storage,
    applied,
    preVote: true,
    checkQuorum: true,
    random: () => 0,
  });
}

function drain(node: RawNode, storage?: MemoryStorage): Message[] {
  const messages: Message[] = [];
  while (node.hasReady()) {
    const ready = node.ready();
    storage?.append(ready.entries);
    messages.push(...ready.messages);
    node.advance();
  }
  return messages;
}

describe("generations of terms", () => {
  it("rise with every reset, to within what the log can store", () => {
    equal(generationOf(7), 0);
    const first = nextGenerationTerm(7, 0);
    equal(first, T);
    const second = nextGenerationTerm(first + 5, 255);
    equal(generationOf(second), 2 * 256 + 255);
    equal(second < 2 ** 48, true);
    throws(() => nextGenerationTerm(255 * 256 * 2 ** 32, 0), { code: "OPERATION_REFUSED" });
  });

  it("drop every message of a lower one without an answer", () => {
    const node = peer([1, T], T + 1, 2, 2);
    drain(node);
    for (const type of ["app", "heartbeat", "vote", "preVote", "appResp", "timeoutNow"] as const) {
      node.step(makeMessage({ type, to: 1, index: 5, logTerm: 9 }, 2, 2 ** 32 - 1));
      deepEqual(drain(node), [], type);
    }
    equal(node.basicStatus().term, T + 1);
  });

  it("answer a lower term of the same one, as ever", () => {
    const node = peer([1, T], T + 5, 2, 2);
    drain(node);
    node.step(makeMessage({ type: "heartbeat", to: 1 }, 2, T + 4));
    deepEqual(
      drain(node).map(({ type, term }) => [type, term]),
      [["appResp", T + 5]],
    );
  });

  it("keep a peer from campaigning before it has applied the reset", () => {
    for (const [terms, commit, applied] of [
      [[1, 1], 2, 2],
      [[1, T], 1, 1],
    ] as const) {
      const node = peer(terms, T + 1, commit, applied);
      drain(node);
      for (let i = 0; i < 50; i++) node.tick();
      node.campaign();
      node.step(makeMessage({ type: "timeoutNow", to: 1 }, 2, T + 1));
      deepEqual(drain(node), []);
      equal(node.basicStatus().state, "follower");
    }
    const storage = new MemoryStorage();
    const node = peer([1, T], T, 2, 2, storage);
    node.resetMembership(conf(1));
    node.campaign();
    drain(node, storage);
    equal(node.basicStatus().state, "leader");
    equal(node.basicStatus().term, T + 1);
  });
});
