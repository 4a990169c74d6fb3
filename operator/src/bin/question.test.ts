import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { agrees } from "./question.js";

describe("question", () => {
  const answers: readonly (readonly [name: string, typed: string, agreed: boolean])[] = [
    ["y", "y\n", true],
    ["Yes with spaces", " Yes \n", true],
    ["nothing", "\n", false],
    ["another word", "yesterday\n", false],
    ["Ctrl-C", "\x03", false],
    ["Ctrl-D", "\x04", false],
  ];
  for (const [name, typed, agreed] of answers) {
    it(`takes ${name} for a ${agreed ? "yes" : "no"}`, async () => {
      const input = new PassThrough();
      const answer = agrees("Sure? ", input, new PassThrough());
      input.write(typed);
      assert.equal(await answer, agreed);
    });
  }
});
