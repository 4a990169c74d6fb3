import assert from "node:assert/strict";
import { OWN_TRANSCRIPTS, publishedTranscripts, runConformance } from "./index.js";

function check(path: string): void {
  for (const file of runConformance([path]).files) {
    assert.ok("kind" in file, `${file.path} is no transcript`);
    const { failure } = file;
    if (failure !== undefined)
      assert.equal(failure.actual, failure.expected, `${file.path}:${failure.line} ${failure.command}`);
  }
}

describe("conformance", () => {
  it("our own transcripts come out as written", () => {
    assert.ok(runConformance([OWN_TRANSCRIPTS]).files.length > 0, `no transcripts in ${OWN_TRANSCRIPTS}`);
    check(OWN_TRANSCRIPTS);
  });

  it("etcd's published transcripts come out unchanged", function () {
    const path = publishedTranscripts();
    if (runConformance([path]).files.length === 0) {
      console.log(`      skipped: no transcripts at ${path}; set RAFT_TESTDATA to where they are`);
      this.skip();
    }
    check(path);
  });
});
