import assert from "node:assert/strict";
import { parseDatadriven, parseDirective, TranscriptError } from "./datadriven.js";

function refuses(text: string, message: RegExp): void {
  assert.throws(
    () => parseDatadriven(text),
    (error) => error instanceof TranscriptError && message.test(error.message),
  );
}

describe("datadriven files", () => {
  it("give directives with their line, arguments, input and expected output", () => {
    const text = "# a comment\n\nadd 1 to=(2, 3)\nsome input\n\nmore\n----\nok\nfine\n\nnext\n----\n";
    assert.deepEqual(parseDatadriven(text), [
      {
        line: 3,
        command: "add",
        args: [
          { key: "1", values: [] },
          { key: "to", values: ["2", "3"] },
        ],
        input: "some input\n\nmore",
        expected: "ok\nfine\n",
      },
      { line: 11, command: "next", args: [], input: "", expected: "" },
    ]);
  });

  it("keep blank lines and single separators of an output between doubled ones", () => {
    const [first, second] = parseDatadriven("a\n----\n----\none\n\n----\ntwo\n----\n----\n\nb\n----\nok\n");
    assert.equal(first?.expected, "one\n\n----\ntwo\n");
    assert.deepEqual([second?.command, second?.line, second?.expected], ["b", 11, "ok\n"]);
  });

  it("end an output at the end of the file, with or without a line break", () => {
    for (const text of ["a\n----\nok\n", "a\n----\nok", "a\n----\n----\nok\n----\n----"])
      assert.equal(parseDatadriven(text)[0]?.expected, "ok\n", text);
  });

  it("continue a directive after a backslash", () => {
    const [only] = parseDatadriven("a x \\\n   y=1 \\\n z\n----\n");
    assert.deepEqual(
      only?.args.map(({ key }) => key),
      ["x", "y", "z"],
    );
  });

  it("group by subtests, which must nest", () => {
    const nested = "subtest s\n\na\n----\n\nsubtest s/t\n\nb\n----\n\nsubtest end s/t\n\nsubtest end\n";
    assert.deepEqual(
      parseDatadriven(nested).map(({ command }) => command),
      ["a", "b"],
    );
    refuses("subtest s\n\na\n----\n", /subtest s has no end/);
    refuses("subtest end\n", /line 1: subtest end without a beginning/);
    refuses("subtest s\nsubtest t\n", /line 2: the name of a subtest of s begins with it/);
    refuses("subtest s\nsubtest end t\n", /line 2: the end of subtest s names t/);
  });

  it("are refused with the line when they are malformed", () => {
    refuses("# nothing but\nprose here\n", /line 2: no ---- after the directive prose/);
    refuses("a\n----\n----\nx\n----\n----\ny\n", /line 7: a blank line must follow/);
    refuses("a =1\n----\n", /line 1: cannot parse directive at column 3: a =1/);
    refuses("a k=(1,2\n----\n", /line 1: cannot parse directive/);
  });
});

describe("arguments of a directive", () => {
  const valuesOf = (text: string) => parseDirective(`c ${text}`, 1).args.map(({ key, values }) => [key, ...values]);

  it("have no value, one, or a list that nests and may be empty", () => {
    assert.deepEqual(valuesOf("1 k=v k= k=() k=(a,b) k=(a,  b)"), [
      ["1"],
      ["k", "v"],
      ["k", ""],
      ["k", ""],
      ["k", "a", "b"],
      ["k", "a", "b"],
    ]);
    assert.deepEqual(valuesOf("k=(a b,(c,d)e) x=a=b"), [
      ["k", "a b", "(c,d)e"],
      ["x", "a=b"],
    ]);
  });
});
