import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { runConformance } from "./index.js";

describe("a conformance run", () => {
  let directory = "";

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rhea-conformance-"));
  });

  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  function write(path: string, content: string | Uint8Array): void {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
  }

  /** Runs one file and returns its first difference as "line: expected | actual". */
  function differenceOf(content: string): string | undefined {
    write("story.txt", content);
    const [file] = runConformance([directory]).files;
    assert.ok(file !== undefined && "kind" in file);
    const { failure } = file;
    return failure && `${failure.line}: ${failure.expected.trim()} | ${failure.actual.trim()}`;
  }

  it("tells what a file exercises from its commands, in whatever folder it is", () => {
    write("a/deep/x.txt", "vote cfg=(1) votes=(y)\n----\nVoteWon\n");
    write("b.txt", "simple\nv1\n----\nvoters=(1)\n1: StateProbe match=0 next=1\n");
    write("c.txt", "log-level none\n----\nok\n");
    write("notes.md", "not a transcript, and not asked for");
    const { files, missing } = runConformance([directory]);
    assert.deepEqual(missing, []);
    assert.deepEqual(
      files.map((file) => ("kind" in file ? [file.kind, file.passed, file.total, file.failure] : file)),
      [
        ["quorum", 1, 1, undefined],
        ["confchange", 1, 1, undefined],
        ["interaction", 1, 1, undefined],
      ],
    );
  });

  it("counts on in a table of cases, and stops a story at its first difference", () => {
    write("table.txt", "vote cfg=(1) votes=(y)\n----\nVoteLost\n\nvote cfg=(1) votes=(n)\n----\nVoteLost\n");
    write("tale.txt", "log-level none\n----\nno\n\nlog-level info\n----\nok\n");
    const { files } = runConformance([directory]);
    assert.deepEqual(
      files.map((file) => ("kind" in file ? [file.passed, file.total, file.failure?.line] : file)),
      [
        [1, 2, 1],
        [0, 2, 1],
      ],
    );
  });

  it("refuses what is no transcript, and reports paths without any", () => {
    write("binary.txt", Buffer.from([0xff, 0xfe, 0x00]));
    write("empty.txt", "# only a comment\n");
    write("prose.txt", "Once upon a time\n");
    mkdirSync(join(directory, "hollow"));
    const { files } = runConformance([directory]);
    assert.deepEqual(
      files.map((file) => ("refused" in file ? file.refused : "run")),
      ["not a text in UTF-8", "no directive in it", "line 1: no ---- after the directive Once"],
    );
    const nowhere = [join(directory, "hollow"), join(directory, "absent")];
    assert.deepEqual(runConformance(nowhere), { files: [], missing: nowhere });
  });

  it("reports a script that no runner would take, and a core that stops, as differences", () => {
    const boot = "log-level none\n----\nok\n\nadd-nodes 1 voters=(1) index=2\n----\nok\n\n";
    assert.match(differenceOf(`${boot}campaign 7\n----\nok\n`) ?? "", /cannot be run: there is no node 7/);
    assert.match(
      differenceOf(`${boot}campaign\n----\nok\n`) ?? "",
      /cannot be run: the command needs a first argument/,
    );
    assert.match(differenceOf(`${boot}propose 1\n----\nok\n`) ?? "", /cannot be run: .*exactly one word/);
    assert.match(differenceOf(`${boot}deliver-msgs 1 drop=1\n----\nok\n`) ?? "", /can't both deliver and drop/);
    assert.match(differenceOf(`${boot}compact 1 9\n----\nok\n`) ?? "", /the core stopped: log index 9 is not stored/);
  });

  it("prints the errors that are part of a transcript, also when all else is silent", () => {
    const boot = "log-level none\n----\nok\n\nadd-nodes 1 voters=(1) index=2\n----\nok\n\n";
    const cases: readonly (readonly [string, string])[] = [
      ["what", "unknown command"],
      ["add-nodes 1 voters=(1)", "index must be specified as > 1 due to bootstrap"],
      ["compact 1 2", "requested index is unavailable due to compaction"],
      ["propose 1 x", "raft proposal dropped"],
      ["propose-conf-change 1 way=on", "unknown command way"],
      ["propose-conf-change 1\nx1", "unknown input: x1"],
      ["propose-conf-change 1\nv", "unknown token v"],
      ["propose-conf-change 1\nvx", 'strconv.ParseUint: parsing "x": invalid syntax'],
      ["propose-conf-change 1 v1=perhaps\nv2", 'strconv.ParseBool: parsing "perhaps": invalid syntax'],
      ["log-level loud", "log levels must be either of [DEBUG INFO WARN ERROR FATAL NONE]"],
    ];
    for (const [command, answer] of cases)
      assert.equal(differenceOf(`${boot}${command}\n----\n${answer}\n`), undefined);
  });

  it("runs the commands in the input of another one after the other, also past an error", () => {
    const story =
      "add-nodes 1 voters=(1) index=2\nlog-level none\ncampaign 1\nlog-level info\nwhat\nraft-state\n----\n";
    const expected =
      "INFO 1 switched to configuration voters=(1)\nINFO 1 became follower at term 0\n" +
      "INFO newRaft 1 [peers: [1], term: 0, commit: 2, applied: 2, lastindex: 2, lastterm: 1]\n" +
      "unknown command1: StateCandidate (Voter) Term:1 Lead:0\n";
    assert.equal(differenceOf(story + expected), undefined);
  });
});
