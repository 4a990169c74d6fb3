import assert from "node:assert/strict";
import { RheaError } from "@rhea/common";
import { splitCommandLine } from "./command-line.js";

describe("a line of the shell", () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["", []],
    ["  get   a  ", ["get", "a"]],
    [`put a 'b c' "d e"`, ["put", "a", "b c", "d e"]],
    [`put '' ""`, ["put", "", ""]],
    [`put a\\ b 'c\\d' "e\\"f"`, ["put", "a b", "c\\d", 'e"f']],
    [`x'y'"z"`, ["xyz"]],
  ];
  for (const [line, args] of cases) {
    it(`splits ${JSON.stringify(line)}`, () => assert.deepEqual(splitCommandLine(line), args));
  }

  it("refuses a quote that is not closed", () => {
    assert.throws(
      () => splitCommandLine("put 'a"),
      (error) => error instanceof RheaError && error.code === "INVALID_ARGUMENT",
    );
  });
});
