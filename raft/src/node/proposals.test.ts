import { deepEqual, equal } from "node:assert/strict";
import { RheaError } from "@rhea/common";
import type { RawNode } from "../core/index.js";
import type { Entry } from "../core/types.js";
import { ProposalQueue } from "./proposals.js";

const entry = (index: number, term: number): Entry => ({ index, term, type: "normal", data: Buffer.from("x") });
const lost = (): RheaError => new RheaError("NOT_LEADER", "lost");

describe("proposal queue", () => {
  let dropped: string[];
  let queue: ProposalQueue;

  /** Proposes contexts at a leader of `term` whose log ends at `last`. */
  function submit(contexts: readonly string[], term: number, last: number): void {
    for (const context of contexts) queue.add({ data: Buffer.from(context), context });
    const leader = { basicStatus: () => ({ term, state: "leader" }), proposeMany: () => last + 1 };
    queue.submit(leader as unknown as RawNode, lost);
  }

  beforeEach(() => {
    dropped = [];
    queue = new ProposalQueue(4, (context, error) => dropped.push(`${String(context)} ${error.code}`));
  });

  it("gives each entry the context it was proposed with", () => {
    submit(["a", "b"], 3, 10);
    equal(queue.take(entry(10, 3)), undefined);
    equal(queue.take(entry(11, 3)), "a");
    equal(queue.take(entry(12, 3)), "b");
    equal(queue.count, 0);
    deepEqual(dropped, []);
  });

  it("drops what another term's entry took the place of", () => {
    submit(["a", "b"], 3, 10);
    equal(queue.take(entry(11, 4)), undefined);
    equal(queue.take(entry(13, 4)), undefined);
    deepEqual(dropped, ["a STALE_COMMAND", "b STALE_COMMAND"]);
  });

  it("gives up older terms and keeps the present one", () => {
    submit(["a"], 3, 10);
    submit(["b"], 5, 20);
    queue.drop(lost, 5);
    deepEqual(dropped, ["a NOT_LEADER"]);
    equal(queue.take(entry(21, 5)), "b");
  });

  it("is full by what waits and what is in the log", () => {
    submit(["a", "b"], 3, 10);
    queue.add({ data: Buffer.from("c") });
    equal(queue.isFull, false);
    queue.add({ data: Buffer.from("d") });
    equal(queue.isFull, true);
  });

  it("refuses what expects another term, and only that", () => {
    queue.add({ data: Buffer.from("a"), context: "a", expectedTerm: 2 });
    submit(["b"], 3, 10);
    deepEqual(dropped, ["a PROPOSAL_DROPPED"]);
    equal(queue.take(entry(11, 3)), "b");
  });
});
