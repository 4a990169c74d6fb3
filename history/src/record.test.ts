import assert from "node:assert/strict";
import { InvariantError } from "@rhea/common";
import { createHistory } from "./record.js";

describe("history: recorder", () => {
  const record = () => {
    let now = 0;
    return createHistory<string, number>({ monotonicMs: () => (now += 10), wallMs: () => 0 });
  };

  it("orders invocations and returns in one line of events", () => {
    const history = record();
    const first = history.invoke("a", "x");
    const second = history.invoke("b", "y");
    history.complete(second, 7);
    history.complete(first, 8);
    const [x, y] = history.operations();
    assert.deepEqual([x?.invokedAt, y?.invokedAt, y?.returnedAt, x?.returnedAt], [0, 1, 2, 3]);
    assert.deepEqual([x?.invokedMs, y?.invokedMs, y?.returnedMs, x?.returnedMs], [10, 20, 30, 40]);
    assert.deepEqual(x?.outcome, { kind: "ok", result: 8 });
  });

  it("leaves an operation without an answer open", () => {
    const history = record();
    history.invoke("a", "x");
    assert.deepEqual(history.operations()[0]?.outcome, { kind: "open" });
    assert.equal(history.operations()[0]?.returnedAt, Infinity);
  });

  it("refuses a second answer and an answer to nothing", () => {
    const history = record();
    const id = history.invoke("a", "x");
    history.fail(id);
    assert.throws(() => history.complete(id, 1), InvariantError);
    assert.throws(() => history.fail(id), InvariantError);
    assert.throws(() => history.complete(5, 1), InvariantError);
  });
});
