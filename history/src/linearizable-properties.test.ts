import assert from "node:assert/strict";
import fc from "fast-check";
import { checkLinearizable } from "./linearizable.js";
import { type RegisterOp, type RegisterResult, registerModel } from "./models/register.js";
import type { Operation } from "./record.js";

type RegisterOperation = Operation<RegisterOp, RegisterResult>;

const valueArb = fc.constantFrom("1", "2", "3");
const heldArb = fc.option(valueArb, { nil: null });

const opArb = (keys: readonly string[]): fc.Arbitrary<RegisterOp> => {
  const key = fc.constantFrom(...keys);
  return fc.oneof(
    fc.record({ kind: fc.constant("get" as const), key }),
    fc.record({ kind: fc.constant("put" as const), key, value: valueArb }),
    fc.record({ kind: fc.constant("delete" as const), key }),
    fc.record({ kind: fc.constant("getAndPut" as const), key, value: valueArb }),
    fc.record({ kind: fc.constant("putIfAbsent" as const), key, value: valueArb }),
    fc.record({ kind: fc.constant("cas" as const), key, expected: heldArb, value: heldArb }),
  );
};

/** Answers each operation as one copy of the data would that runs them in the order given. */
function answersOf(ops: readonly RegisterOp[]): RegisterResult[] {
  const held = new Map<string, string>();
  return ops.map((op) => {
    const before = held.get(op.key) ?? null;
    const set = (value: string | null): void => {
      if (value === null) held.delete(op.key);
      else held.set(op.key, value);
    };
    switch (op.kind) {
      case "get":
        return before;
      case "put":
        set(op.value);
        return null;
      case "delete":
        set(null);
        return null;
      case "getAndPut":
        set(op.value);
        return before;
      case "putIfAbsent":
        if (before === null) set(op.value);
        return before;
      case "cas":
        if (before === op.expected) set(op.value);
        return before === op.expected;
    }
  });
}

interface Timed {
  readonly op: RegisterOp;
  readonly from: number;
  /** Infinity: open. */
  readonly to: number;
  readonly result: RegisterResult;
}

/** Makes operations of intervals on any scale; equal times count as overlapping. */
function operationsOf(timed: readonly Timed[]): RegisterOperation[] {
  const events = timed.flatMap(({ from, to }, id) => [
    { at: from, id, isReturn: false },
    { at: to, id, isReturn: true },
  ]);
  events.sort((a, b) => (a.at === b.at ? Number(a.isReturn) - Number(b.isReturn) : a.at - b.at));
  const positions = timed.map(() => ({ invokedAt: 0, returnedAt: Infinity }));
  events.forEach(({ at, id, isReturn }, position) => {
    const of = positions[id]!;
    if (!isReturn) of.invokedAt = position;
    else if (at !== Infinity) of.returnedAt = position;
  });
  return timed
    .map(({ op, from, to, result }, id) => ({
      id,
      clientId: `c${id}`,
      op,
      outcome: to === Infinity ? ({ kind: "open" } as const) : ({ kind: "ok", result } as const),
      ...positions[id]!,
      invokedMs: from,
      returnedMs: to,
    }))
    .sort((a, b) => a.invokedAt - b.invokedAt);
}

/** Decides by trying every order of every subset of the open operations: the definition itself, for a handful of operations. */
function isLinearizableByDefinition(operations: readonly RegisterOperation[]): boolean {
  const search = (order: readonly RegisterOperation[], left: readonly RegisterOperation[]): boolean => {
    const answers = answersOf(order.map(({ op }) => op));
    const fits = order.every(({ outcome }, at) => outcome.kind !== "ok" || outcome.result === answers[at]);
    if (!fits) return false;
    if (left.every(({ outcome }) => outcome.kind !== "ok")) return true;
    const earliestReturn = Math.min(...left.map(({ returnedAt }) => returnedAt));
    return left.some(
      (next) =>
        next.invokedAt < earliestReturn &&
        search(
          [...order, next],
          left.filter((other) => other !== next),
        ),
    );
  };
  return search([], operations);
}

describe("history: linearizability of random histories", () => {
  it("accepts every sequential history", () => {
    fc.assert(
      fc.property(fc.array(opArb(["a", "b"]), { maxLength: 60 }), (ops) => {
        const answers = answersOf(ops);
        const timed = ops.map((op, at) => ({ op, from: at, to: at + 0.5, result: answers[at]! }));
        assert.deepEqual(checkLinearizable(operationsOf(timed), registerModel), { ok: true });
      }),
    );
  });

  it("accepts every history whose answers came from one instant inside each operation", () => {
    const slackArb = fc.double({ min: 0.01, max: 6, noNaN: true });
    const callArb = fc.record({
      op: opArb(["a", "b", "c"]),
      before: slackArb,
      after: slackArb,
      fate: fc.constantFrom("answered", "answered", "answered", "applied but open", "lost"),
    });
    fc.assert(
      fc.property(fc.array(callArb, { maxLength: 60 }), (calls) => {
        const applied = calls.map((call, at) => ({ ...call, at })).filter(({ fate }) => fate !== "lost");
        const answers = answersOf(applied.map(({ op }) => op));
        const results = new Map(applied.map(({ at }, index) => [at, answers[index]!]));
        const timed = calls.map(({ op, before, after, fate }, at) => ({
          op,
          from: at - before,
          to: fate === "answered" ? at + after : Infinity,
          result: results.get(at) ?? null,
        }));
        assert.deepEqual(checkLinearizable(operationsOf(timed), registerModel), { ok: true });
      }),
    );
  });

  it("refuses every sequential history of unique writes with a stale read put in", () => {
    const arb = fc
      .integer({ min: 2, max: 40 })
      .chain((writes) => fc.record({ after: fc.integer({ min: 1, max: writes - 1 }), writes: fc.constant(writes) }))
      .chain(({ after, writes }) =>
        fc.record({
          after: fc.constant(after),
          stale: fc.integer({ min: 0, max: after - 1 }),
          writes: fc.constant(writes),
        }),
      );
    fc.assert(
      fc.property(arb, ({ writes, after, stale }) => {
        const timed: Timed[] = Array.from({ length: writes }, (_, at) => ({
          op: { kind: "put", key: "k", value: `v${at}` },
          from: at,
          to: at + 0.4,
          result: null,
        }));
        timed.push({ op: { kind: "get", key: "k" }, from: after + 0.5, to: after + 0.6, result: `v${stale}` });
        const verdict = checkLinearizable(operationsOf(timed), registerModel);
        assert.ok(!verdict.ok && verdict.kind === "violation");
      }),
    );
  });

  it("agrees with the definition on small histories with any answers", () => {
    const callArb = fc.record({
      op: opArb(["k"]),
      from: fc.integer({ min: 0, max: 8 }),
      length: fc.constantFrom(1, 2, 4, 6, Infinity),
      result: fc.oneof(heldArb, fc.boolean()),
      honest: fc.boolean(),
    });
    let accepted = 0;
    let refused = 0;
    fc.assert(
      fc.property(fc.array(callArb, { minLength: 1, maxLength: 6 }), (calls) => {
        const answers = answersOf(calls.map(({ op }) => op));
        const timed = calls.map(({ op, from, length, result, honest }, at) => ({
          op,
          from,
          to: from + length,
          result: honest ? answers[at]! : result,
        }));
        const operations = operationsOf(timed);
        const expected = isLinearizableByDefinition(operations);
        if (expected) accepted++;
        else refused++;
        assert.equal(checkLinearizable(operations, registerModel).ok, expected);
      }),
      { numRuns: 2_000 },
    );
    assert.ok(accepted > 100 && refused > 100, `${accepted} accepted, ${refused} refused: the generator is one-sided`);
  });

  it("judges 10,000 operations of 32 clients over 100 keys within 2 s", function () {
    this.timeout(2_000);
    const [calls] = fc.sample(
      fc.array(
        fc.record({
          op: opArb(Array.from({ length: 100 }, (_, key) => `k${key}`)),
          slack: fc.integer({ min: 1, max: 32 }),
        }),
        { minLength: 10_000, maxLength: 10_000, size: "max" },
      ),
      1,
    );
    const answers = answersOf(calls!.map(({ op }) => op));
    const timed = calls!.map(({ op, slack }, at) => ({
      op,
      from: at - slack,
      to: at % 50 === 0 ? Infinity : at + 33 - slack,
      result: answers[at]!,
    }));
    assert.deepEqual(checkLinearizable(operationsOf(timed), registerModel), { ok: true });
  });
});
