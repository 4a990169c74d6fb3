import { deepEqual, equal, throws } from "node:assert/strict";
import { RheaError } from "@rhea/common";
import type { RawNode } from "../core/index.js";
import type { Entry } from "../core/types.js";
import type { Task } from "./api.js";
import { ProposalBudget } from "./proposal-budget.js";
import { ProposalQueue } from "./proposals.js";

const entry = (index: number, term: number): Entry => ({ index, term, type: "normal", data: Buffer.from("x") });
const lost = (): RheaError => new RheaError("NOT_LEADER", "lost");
const task = (context: string, bytes = 1): Task => ({ data: Buffer.alloc(bytes), context });

describe("proposal queue", () => {
  let dropped: string[];
  let wakes: number;
  let queue: ProposalQueue;

  function make(budget: ProposalBudget, maxPendingProposals = 4, maxProposalBytes = 100): ProposalQueue {
    return new ProposalQueue({
      groupId: 7,
      limits: { maxPendingProposals, maxProposalBytes },
      budget,
      onRoom: () => wakes++,
      onDropped: (context, error) => dropped.push(`${String(context)} ${error.code}`),
    });
  }

  /** Lets what waits reach the log of a leader of `term` whose log ends at `last`. */
  function flush(of: ProposalQueue, term: number, last: number): void {
    const leader = { basicStatus: () => ({ term, state: "leader" }), proposeMany: () => last + 1 };
    of.submit(leader as unknown as RawNode, 0, lost);
  }

  function submit(contexts: readonly string[], term: number, last: number): void {
    for (const context of contexts) queue.add(task(context), undefined);
    flush(queue, term, last);
  }

  const take = (index: number, term: number): unknown => queue.take(entry(index, term), 0)?.context;

  beforeEach(() => {
    dropped = [];
    wakes = 0;
    queue = make(new ProposalBudget(1_000, 1_000));
  });

  it("gives each entry the context it was proposed with", () => {
    submit(["a", "b"], 3, 10);
    equal(take(10, 3), undefined);
    equal(take(11, 3), "a");
    equal(take(12, 3), "b");
    equal(queue.count, 0);
    equal(queue.bytes, 0);
    deepEqual(dropped, []);
  });

  it("knows its proposals of a later term apart from those that an earlier one left open at the same indexes and above", () => {
    queue = make(new ProposalBudget(1_000, 1_000), 8);
    submit(["a", "b", "c"], 5, 29); // 30, 31, 32
    submit(["d", "e"], 7, 29); // 30, 31: elected again, after another leader's entry at 29
    equal(take(30, 7), "d");
    equal(take(31, 7), "e");
    equal(take(32, 7), undefined);
    deepEqual(dropped, ["a STALE_COMMAND", "b STALE_COMMAND", "c STALE_COMMAND"]);
    equal(queue.count, 0);
  });

  it("gives an earlier term's proposal its context where that one came through after all", () => {
    queue = make(new ProposalBudget(1_000, 1_000), 8);
    submit(["a", "b"], 5, 29);
    submit(["d", "e"], 7, 29);
    equal(take(30, 5), "a");
    equal(take(31, 5), "b");
    equal(take(32, 8), undefined);
    deepEqual(dropped, ["d STALE_COMMAND", "e STALE_COMMAND"]);
  });

  it("drops what another term's entry took the place of", () => {
    submit(["a", "b"], 3, 10);
    equal(take(11, 4), undefined);
    equal(take(13, 4), undefined);
    deepEqual(dropped, ["a STALE_COMMAND", "b STALE_COMMAND"]);
  });

  it("gives up older terms and keeps the present one", () => {
    submit(["a"], 3, 10);
    submit(["b"], 5, 20);
    queue.drop(lost, 5);
    deepEqual(dropped, ["a NOT_LEADER"]);
    equal(take(21, 5), "b");
  });

  it("refuses what expects another term, and only that", () => {
    queue.add({ ...task("a"), expectedTerm: 2 }, undefined);
    submit(["b"], 3, 10);
    deepEqual(dropped, ["a PROPOSAL_DROPPED"]);
    equal(take(11, 3), "b");
    equal(queue.bytes, 0);
  });

  it("is full by what waits and what is in the log, by count and by bytes", () => {
    submit(["a", "b"], 3, 10);
    for (const context of ["c", "d"]) queue.add(task(context), undefined);
    throws(
      () => {
        queue.add(task("e"), undefined);
      },
      { code: "SERVER_BUSY", details: { regionId: 7, retryAfterMs: 50 } },
    );
    queue = make(new ProposalBudget(1_000, 1_000));
    queue.add(task("a", 60), undefined);
    throws(
      () => {
        queue.add(task("b", 41), undefined);
      },
      { code: "SERVER_BUSY" },
    );
    queue.add(task("c", 40), undefined);
  });

  it("takes one alone that is larger than the bound", () => {
    queue.add(task("a", 500), undefined);
    equal(queue.count, 1);
  });

  it("lets those that wait for room in, in their order, and before who comes later", () => {
    submit(["a", "b", "c", "d"], 3, 10);
    queue.add(task("e"), 1_000);
    queue.add(task("f"), 1_000);
    equal(take(11, 3), "a");
    equal(wakes, 1);
    throws(
      () => {
        queue.add(task("late"), undefined);
      },
      { code: "SERVER_BUSY" },
    );
    flush(queue, 3, 14);
    equal(queue.parked, 1);
    for (const index of [12, 13, 14]) take(index, 3);
    equal(take(15, 3), "e");
    flush(queue, 3, 15);
    equal(take(16, 3), "f");
    deepEqual(dropped, []);
  });

  it("gives up waiting at the deadline of each", () => {
    submit(["a", "b", "c", "d"], 3, 10);
    queue.add(task("e"), 1_000);
    queue.add(task("f"), 500);
    queue.expire(499);
    deepEqual(dropped, []);
    queue.expire(500);
    deepEqual(dropped, ["f SERVER_BUSY"]);
    queue.expire(1_000);
    deepEqual(dropped, ["f SERVER_BUSY", "e SERVER_BUSY"]);
    equal(queue.hasWaiting, false);
  });

  it("bounds how many wait for room", () => {
    submit(["a", "b", "c", "d"], 3, 10);
    for (let i = 0; i < 4; i++) queue.add(task(`w${i}`), 1_000);
    throws(
      () => {
        queue.add(task("one too many"), 1_000);
      },
      { code: "SERVER_BUSY" },
    );
  });

  it("refuses all that waits when leadership is gone, and gives back what it had", () => {
    const budget = new ProposalBudget(1_000, 1_000);
    queue = make(budget);
    submit(["a", "b", "c", "d"], 3, 10);
    queue.add(task("e"), 1_000);
    const follower = { basicStatus: () => ({ term: 4, state: "follower" }) };
    queue.submit(follower as unknown as RawNode, 0, lost);
    deepEqual(dropped, ["e NOT_LEADER"]);
    queue.clear(lost);
    equal(dropped.length, 5);
    deepEqual([budget.count, budget.bytes], [0, 0]);
  });

  it("shares the bounds of the process: another group's room is waited for", () => {
    const budget = new ProposalBudget(2, 1_000);
    const other = make(budget);
    queue = make(budget);
    other.add(task("x"), undefined);
    other.add(task("y"), undefined);
    throws(
      () => {
        queue.add(task("a"), undefined);
      },
      { code: "SERVER_BUSY" },
    );
    queue.add(task("b"), 1_000);
    flush(other, 3, 10);
    equal(other.take(entry(11, 3), 0)?.context, "x");
    equal(wakes, 1);
    flush(queue, 5, 20);
    equal(take(21, 5), "b");
  });

  it("counts what it did", () => {
    submit(["a", "b"], 3, 10);
    queue.take(entry(11, 3), 30);
    queue.drop(lost, 0);
    const { proposed, proposedBytes, dropped: gone, applied, latencyMs, busy } = queue.figures;
    deepEqual([proposed, proposedBytes, gone, applied, latencyMs, busy], [2, 2, 1, 1, 30, 0]);
  });
});
