import assert from "node:assert/strict";
import { checkLinearizable } from "./linearizable.js";
import { type AppendListOp, type AppendListResult, appendListModel } from "./models/append-list.js";
import { type RegisterOp, type RegisterResult, registerModel } from "./models/register.js";
import { type SequenceOp, sequenceModel } from "./models/sequence.js";
import { type History, createHistory } from "./record.js";

const newHistory = <Op, Result>(): History<Op, Result> => createHistory({ monotonicMs: () => 0, wallMs: () => 0 });

/** Runs operations one after the other: each is complete before the next begins. */
function oneByOne<Op, Result>(history: History<Op, Result>, ...calls: readonly (readonly [Op, Result])[]): void {
  for (const [op, result] of calls) history.complete(history.invoke("serial", op), result);
}

const put = (value: string, key = "k"): RegisterOp => ({ kind: "put", key, value });
const get = (key = "k"): RegisterOp => ({ kind: "get", key });
const cas = (expected: string | null, value: string | null): RegisterOp => ({ kind: "cas", key: "k", expected, value });
const putIfAbsent = (value: string): RegisterOp => ({ kind: "putIfAbsent", key: "k", value });

describe("history: linearizability of registers", () => {
  const start = () => newHistory<RegisterOp, RegisterResult>();
  const accepts = (history: History<RegisterOp, RegisterResult>) =>
    assert.deepEqual(checkLinearizable(history, registerModel), { ok: true });
  const refuses = (history: History<RegisterOp, RegisterResult>) => {
    const verdict = checkLinearizable(history, registerModel);
    assert.ok(!verdict.ok && verdict.kind === "violation");
    return verdict;
  };

  it("accepts an empty history", () => accepts(start()));

  it("accepts every operation with its sequential answer", () => {
    const history = start();
    oneByOne(
      history,
      [get(), null],
      [putIfAbsent("a"), null],
      [putIfAbsent("b"), "a"],
      [{ kind: "getAndPut", key: "k", value: "c" }, "a"],
      [cas("a", "x"), false],
      [cas("c", "d"), true],
      [get(), "d"],
      [cas("d", null), true],
      [get(), null],
      [cas(null, "e"), true],
      [{ kind: "delete", key: "k" }, null],
      [get(), null],
    );
    accepts(history);
  });

  it("refuses a stale read", () => {
    const history = start();
    oneByOne(history, [put("1"), null], [put("2"), null], [get(), "1"]);
    const { key, witness } = refuses(history);
    assert.equal(key, "k");
    assert.match(witness, /put "2" -> nothing/);
    assert.match(witness, /get -> "1".*would answer "2"/);
  });

  it("accepts either value for a read that overlaps the write, in both orders", () => {
    for (const seen of [null, "1"]) {
      const history = start();
      const write = history.invoke("a", put("1"));
      oneByOne(history, [get(), seen]);
      history.complete(write, null);
      accepts(history);
    }
  });

  it("refuses a new value that vanishes again while its write is still under way", () => {
    const history = start();
    const write = history.invoke("a", put("1"));
    oneByOne(history, [get(), "1"], [get(), null]);
    history.complete(write, null);
    refuses(history);
  });

  it("accepts a write without an answer that took effect late, or never", () => {
    const late = start();
    late.invoke("a", put("1"));
    oneByOne(late, [get(), null], [put("2"), null], [get(), "2"], [get(), "1"]);
    accepts(late);
    const never = start();
    never.invoke("a", put("1"));
    oneByOne(never, [get(), null], [get(), null]);
    accepts(never);
  });

  it("refuses a write without an answer that took effect twice", () => {
    const history = start();
    history.invoke("a", put("1"));
    oneByOne(history, [get(), "1"], [put("2"), null], [get(), "1"]);
    refuses(history);
  });

  it("refuses a value from before its write was invoked", () => {
    const history = start();
    oneByOne(history, [get(), "1"], [put("1"), null]);
    refuses(history);
  });

  it("refuses the effect of a write that certainly failed", () => {
    const history = start();
    history.fail(history.invoke("a", put("1")));
    oneByOne(history, [get(), "1"]);
    refuses(history);
  });

  it("refuses two winners of one compare-and-put, also when they overlap", () => {
    const history = start();
    const first = history.invoke("a", cas(null, "1"));
    const second = history.invoke("b", cas(null, "2"));
    history.complete(first, true);
    history.complete(second, true);
    refuses(history);
  });

  it("refuses two overlapping putIfAbsent that both found nothing", () => {
    const history = start();
    const first = history.invoke("a", putIfAbsent("1"));
    const second = history.invoke("b", putIfAbsent("2"));
    history.complete(second, null);
    history.complete(first, null);
    refuses(history);
  });

  it("judges each key by itself and names the one at fault", () => {
    const history = start();
    oneByOne(history, [put("1", "good"), null], [put("1", "bad"), null], [get("good"), "1"], [get("bad"), null]);
    assert.equal(refuses(history).key, "bad");
  });

  it("tries an order again that it had to leave for another state", () => {
    // b's write must come before a's although a's was invoked first, and c's read of a comes last.
    const history = start();
    const a = history.invoke("a", put("a"));
    const b = history.invoke("b", put("b"));
    const c = history.invoke("c", cas("b", "c"));
    const d = history.invoke("d", cas("c", "d"));
    for (const [id, result] of [
      [d, true],
      [c, true],
      [b, null],
      [a, null],
    ] as const)
      history.complete(id, result);
    oneByOne(history, [get(), "a"]);
    accepts(history);
  });

  it("gives up as undecided, not as a violation, at the step limit", () => {
    const history = start();
    const writes = Array.from({ length: 12 }, (_, client) => history.invoke(`c${client}`, put(String(client))));
    for (const write of writes) history.complete(write, null);
    oneByOne(history, [get(), "never written"]);
    const verdict = checkLinearizable(history, registerModel, { maxStepsPerKey: 1_000 });
    assert.ok(!verdict.ok);
    assert.equal(verdict.kind, "undecided");
    assert.match(verdict.witness, /given up after 1000 steps/);
  });
});

describe("history: linearizability of append lists", () => {
  const append = (item: string): AppendListOp => ({ kind: "append", key: "k", item });
  const read: AppendListOp = { kind: "read", key: "k" };
  const verdictOf = (...calls: readonly (readonly [AppendListOp, AppendListResult])[]) => {
    const history = newHistory<AppendListOp, AppendListResult>();
    oneByOne(history, ...calls);
    return checkLinearizable(history, appendListModel()).ok;
  };

  it("accepts what was appended, in order", () => {
    assert.ok(verdictOf([read, []], [append("1"), null], [append("2"), null], [read, ["1", "2"]]));
  });

  it("refuses a lost, a doubled and a reordered append", () => {
    for (const seen of [["2"], ["1", "1", "2"], ["2", "1"], ["1"]]) {
      assert.ok(!verdictOf([append("1"), null], [append("2"), null], [read, seen]), seen.join());
    }
  });

  it("refuses a list that lost an item others have seen", () => {
    const history = newHistory<AppendListOp, AppendListResult>();
    history.invoke("a", append("1"));
    oneByOne(history, [read, ["1"]], [append("2"), null], [read, ["2"]]);
    assert.ok(!checkLinearizable(history, appendListModel()).ok);
  });

  it("shows the end of a long list", () => {
    const history = newHistory<AppendListOp, AppendListResult>();
    for (let item = 1; item <= 9; item++) oneByOne(history, [append(String(item)), null]);
    oneByOne(history, [read, []]);
    const verdict = checkLinearizable(history, appendListModel());
    assert.ok(!verdict.ok);
    assert.match(verdict.witness, /read -> \[\].*would answer \[9 items, last: 4 5 6 7 8 9\]/);
  });
});

describe("history: linearizability of sequences", () => {
  const next = (step: number): SequenceOp => ({ kind: "next", key: "k", step });
  const latest: SequenceOp = { kind: "latest", key: "k" };

  it("accepts ranges that follow each other", () => {
    const history = newHistory<SequenceOp, number>();
    oneByOne(history, [latest, 0], [next(3), 0], [next(1), 3], [latest, 4]);
    assert.ok(checkLinearizable(history, sequenceModel).ok);
  });

  it("refuses a number given out twice, also to overlapping calls", () => {
    const history = newHistory<SequenceOp, number>();
    const first = history.invoke("a", next(1));
    const second = history.invoke("b", next(1));
    history.complete(first, 0);
    history.complete(second, 0);
    assert.ok(!checkLinearizable(history, sequenceModel).ok);
  });

  it("accepts a gap only where an open call may have taken the numbers", () => {
    const history = newHistory<SequenceOp, number>();
    oneByOne(history, [next(1), 0]);
    history.invoke("a", next(5));
    oneByOne(history, [next(1), 6]);
    assert.ok(checkLinearizable(history, sequenceModel).ok);
    oneByOne(history, [next(1), 12]);
    assert.ok(!checkLinearizable(history, sequenceModel).ok);
  });
});
