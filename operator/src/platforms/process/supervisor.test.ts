import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "@rhea/common";
import type { ProcessState } from "../../plan/index.js";
import { findByArgument, isRunning, startTokenOf } from "./process-identity.js";
import { createSupervisor, type Command, type Supervisor } from "./supervisor.js";

/** Stand-ins for a store. */
const SCRIPTS = {
  stays: "setInterval(() => {}, 1000); console.log('ready');",
  fails: "console.error('no disk'); process.exit(7);",
  "stops in order":
    "setInterval(() => {}, 1000); process.on('SIGTERM', () => { console.log('bye'); process.exit(0); }); console.log('ready');",
  "does not stop": "setInterval(() => {}, 1000); process.on('SIGTERM', () => {}); console.log('ready');",
};

describe("supervisor", () => {
  let folder: string;
  let nowMs: number;
  let supervisor: Supervisor;
  let ends: ProcessState[];
  let onEnd: () => void;
  const clock: Clock = { monotonicMs: () => nowMs, wallMs: () => nowMs };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "rhea-supervisor-"));
    nowMs = 1_000;
    ends = [];
    onEnd = () => undefined;
    supervisor = createSupervisor(clock, (_name, state) => {
      ends.push(state);
      onEnd();
    });
  });

  afterEach(async () => {
    await supervisor.stop("child", 0);
    supervisor.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const command = (script: keyof typeof SCRIPTS): Command => {
    const path = join(folder, "child.mjs");
    writeFileSync(path, SCRIPTS[script]);
    return { script: path, args: [], env: process.env, logFile: join(folder, "logs", "child.log") };
  };
  const log = () => readFileSync(join(folder, "logs", "child.log"), "utf8");
  const nextEnd = () => new Promise<void>((resolve) => (onEnd = resolve));
  /** Resolves once the child has printed its line: from then on its signal handlers are set. */
  const printed = async () => {
    while (!log().includes("ready")) await new Promise(setImmediate);
  };

  it("tells the exit code of a child and keeps what it printed", async () => {
    const ended = nextEnd();
    await supervisor.start("child", command("fails"));
    await ended;
    assert.deepEqual(supervisor.state("child"), {
      kind: "exited",
      code: 7,
      signal: null,
      atMs: 1_000,
      failures: 1,
      failingSinceMs: 1_000,
    });
    assert.match(log(), /no disk/);
  });

  it("counts failures in a row and starts to count anew after a run that lasted", async () => {
    const runFor = async (ms: number) => {
      await supervisor.start("child", command("stays"));
      nowMs += ms;
      const ended = nextEnd();
      supervisor.kill("child", "SIGKILL");
      await ended;
    };
    await runFor(10);
    await runFor(29_999);
    assert.deepEqual(
      ends.map((end) => end.kind === "exited" && [end.signal, end.failures, end.failingSinceMs]),
      [
        ["SIGKILL", 1, 1_010],
        ["SIGKILL", 2, 1_010],
      ],
    );
    await runFor(30_000);
    const [, , last] = ends;
    assert.deepEqual(last?.kind === "exited" && [last.failures, last.failingSinceMs], [1, 61_009]);
  });

  it("says since when a process has been failing until its run has lasted", async () => {
    const ended = nextEnd();
    await supervisor.start("child", command("fails"));
    await ended;
    nowMs = 5_000;
    await supervisor.start("child", command("stays"));
    assert.deepEqual(supervisor.state("child"), { kind: "running", sinceMs: 5_000, failingSinceMs: 1_000 });
    nowMs = 35_000;
    assert.deepEqual(supervisor.state("child"), { kind: "running", sinceMs: 5_000 });
  });

  it("lets a process end in order and does not call that a failure", async () => {
    await supervisor.start("child", command("stops in order"));
    await printed();
    await supervisor.stop("child", 20_000);
    assert.deepEqual(supervisor.state("child"), { kind: "stopped" });
    assert.match(log(), /bye/);
    assert.deepEqual(ends, []);
  });

  it("kills a process that does not stop", async () => {
    const { pid } = await supervisor.start("child", command("does not stop"));
    await printed();
    await supervisor.stop("child", 1);
    assert.equal(startTokenOf(pid), undefined);
    assert.deepEqual(supervisor.state("child"), { kind: "stopped" });
  });

  it("starts a process once", async () => {
    const first = await supervisor.start("child", command("stays"));
    assert.deepEqual(await supervisor.start("child", command("stays")), first);
  });

  it("leaves processes running when it closes, and the next supervisor adopts them and sees their end", async () => {
    const identity = await supervisor.start("child", command("stays"));
    supervisor.close();
    const ended = new Promise<ProcessState>((resolve) => {
      supervisor = createSupervisor(clock, (_name, state) => resolve(state));
    });
    assert.equal(supervisor.adopt("child", identity, 300), true);
    assert.deepEqual(supervisor.state("child"), { kind: "running", sinceMs: 700 });
    supervisor.kill("child", "SIGKILL");
    const state = await ended;
    assert.ok(state.kind === "exited");
    assert.equal(state.code, null);
  });

  it("adopts no other process of the same number", () => {
    const identity = { pid: process.pid, startToken: "another start" };
    assert.equal(supervisor.adopt("child", identity, 0), false);
    assert.deepEqual(supervisor.state("child"), { kind: "stopped" });
  });

  it("forgets what has gone", async () => {
    const ended = nextEnd();
    await supervisor.start("child", command("fails"));
    await ended;
    supervisor.forget("child");
    assert.deepEqual(supervisor.state("child"), { kind: "stopped" });
  });
});

describe("process identity", () => {
  it("knows this process, and that a number without a process has none", async () => {
    assert.ok(isRunning({ pid: process.pid, startToken: startTokenOf(process.pid) ?? "" }));
    const child = spawn(process.execPath, ["-e", ""], { stdio: "ignore" });
    const pid = child.pid ?? 0;
    await once(child, "exit");
    assert.equal(startTokenOf(pid), undefined);
  });

  it("finds a process by a word of its command line", async () => {
    const word = `--config=${tmpdir()}/rhea-find-${process.pid}.yaml`;
    assert.equal(findByArgument(word), undefined);
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", "--", word], { stdio: "ignore" });
    await once(child, "spawn");
    const ended = once(child, "exit");
    try {
      assert.equal(findByArgument(word)?.pid, child.pid);
    } finally {
      child.kill("SIGKILL");
      await ended;
    }
  });
});
