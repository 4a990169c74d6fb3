import assert from "node:assert/strict";
import { Command, CommandKind, type CommandInit } from "@rhea/proto";
import { decide } from "./decide.js";

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");

/** Runs a command over a state and shows result and state after it. */
function run(
  state: Record<string, string>,
  init: CommandInit,
): { applied: boolean; value: string | undefined; after: Record<string, string> } {
  const view = (key: string): Buffer | undefined => (state[key] === undefined ? undefined : bytes(state[key]));
  const { result, changes } = decide(view, Command.decode(Command.encode(init).finish()));
  const map = new Map(Object.entries(state));
  for (const { key, value } of changes) {
    if (value === undefined) map.delete(key);
    else map.set(key, Buffer.from(value).toString("latin1"));
  }
  const after = Object.fromEntries(map);
  const value =
    result.value === null || result.value === undefined ? undefined : Buffer.from(result.value).toString("latin1");
  return { applied: result.applied ?? false, value, after };
}

describe("commands", () => {
  const key = bytes("k");
  const cases: [string, Record<string, string>, CommandInit, boolean, string | undefined, Record<string, string>][] = [
    [
      "put writes an empty value as a value",
      {},
      { kind: CommandKind.CMD_PUT, key, value: bytes("") },
      true,
      undefined,
      { dk: "" },
    ],
    [
      "putIfAbsent writes where nothing is",
      {},
      { kind: CommandKind.CMD_PUT_IF_ABSENT, key, value: bytes("1") },
      true,
      undefined,
      { dk: "1" },
    ],
    [
      "putIfAbsent gives what is there",
      { dk: "0" },
      { kind: CommandKind.CMD_PUT_IF_ABSENT, key, value: bytes("1") },
      false,
      "0",
      { dk: "0" },
    ],
    [
      "getAndPut gives the previous value",
      { dk: "0" },
      { kind: CommandKind.CMD_GET_AND_PUT, key, value: bytes("1") },
      true,
      "0",
      { dk: "1" },
    ],
    [
      "compareAndPut without an expectation needs the key absent",
      { dk: "" },
      { kind: CommandKind.CMD_COMPARE_AND_PUT, key, value: bytes("1") },
      false,
      undefined,
      { dk: "" },
    ],
    [
      "compareAndPut tells empty from absent",
      { dk: "" },
      { kind: CommandKind.CMD_COMPARE_AND_PUT, key, expect: bytes(""), value: bytes("1") },
      true,
      undefined,
      { dk: "1" },
    ],
    [
      "compareAndPut without a value deletes",
      { dk: "0" },
      { kind: CommandKind.CMD_COMPARE_AND_PUT, key, expect: bytes("0") },
      true,
      undefined,
      {},
    ],
    [
      "compareAndPutAll is all or nothing",
      { da: "1", db: "2" },
      {
        kind: CommandKind.CMD_COMPARE_AND_PUT_ALL,
        entries: [
          { key: bytes("a"), expect: bytes("1"), value: bytes("x") },
          { key: bytes("b"), expect: bytes("1"), value: bytes("x") },
        ],
      },
      false,
      undefined,
      { da: "1", db: "2" },
    ],
    [
      "putList lets the last of a key win",
      {},
      {
        kind: CommandKind.CMD_PUT_LIST,
        entries: [
          { key, value: bytes("1") },
          { key, value: bytes("2") },
        ],
      },
      true,
      undefined,
      { dk: "2" },
    ],
    [
      "deleteList deletes what is there",
      { da: "1", db: "2" },
      { kind: CommandKind.CMD_DELETE_LIST, entries: [{ key: bytes("a") }, { key: bytes("z") }] },
      true,
      undefined,
      { db: "2" },
    ],
    [
      "a sequence lives beside a value of the same key",
      { dk: "v" },
      { kind: CommandKind.CMD_RESET_SEQUENCE, key },
      true,
      undefined,
      { dk: "v" },
    ],
  ];
  for (const [name, state, command, applied, value, after] of cases) {
    it(name, () => assert.deepEqual(run(state, command), { applied, value, after }));
  }

  it("a sequence saturates and never wraps", () => {
    const state: Record<string, string> = {};
    const take = (step: number) => {
      const view = (at: string): Buffer | undefined => (state[at] === undefined ? undefined : bytes(state[at]));
      const init = { kind: CommandKind.CMD_GET_SEQUENCE, key, step };
      const { result, changes } = decide(view, Command.decode(Command.encode(init).finish()));
      for (const change of changes) state[change.key] = Buffer.from(change.value ?? []).toString("latin1");
      return [result.sequenceStart, result.sequenceEnd];
    };
    assert.deepEqual(take(Number.MAX_SAFE_INTEGER - 1), [0, Number.MAX_SAFE_INTEGER - 1]);
    assert.deepEqual(take(10), [Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER]);
    assert.deepEqual(take(10), [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]);
  });

  it("an unknown kind is never guessed at", () => {
    assert.throws(() => run({}, { kind: CommandKind.CMD_MERGE_COMMIT }), { code: "VERSION_UNSUPPORTED" });
  });
});
