import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lockDirectory } from "./directory-lock.js";

/** A process that locks a directory, says `locked`, and lives until it is killed. */
async function holder(directory: string): Promise<ChildProcess> {
  const module = new URL("./directory-lock.ts", import.meta.url).href;
  const code = `import(${JSON.stringify(module)}).then(async ({ lockDirectory }) => {
    await lockDirectory(${JSON.stringify(directory)});
    console.log("locked");
    setInterval(() => {}, 1_000);
  });`;
  const args = ["--conditions=rhea-source", "--import=tsx", "--input-type=module", "--eval", code];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once("data", () => resolve());
    child.once("exit", (status) => reject(new Error(`the holder ended with ${status}`)));
  });
  return child;
}

describe("directory lock", () => {
  let root: string;
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), "rhea-lock-"))));
  afterEach(() => rmSync(root, { recursive: true }));

  it("is held by one at a time, and free again after release", async () => {
    const lock = await lockDirectory(root);
    await assert.rejects(lockDirectory(root), { code: "LOCKED" });
    await lock.release();
    await lock.release();
    await (await lockDirectory(root)).release();
    assert.deepEqual(readdirSync(root), []);
  });

  it("outlives no process: what a killed one leaves behind is taken over", async () => {
    const child = await holder(root);
    await assert.rejects(lockDirectory(root), { code: "LOCKED" });
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
    assert.equal(readdirSync(root).length, 1);
    const lock = await lockDirectory(root);
    assert.equal(readdirSync(root).length, 1);
    await lock.release();
  });

  it("is never given to two who ask at once", async () => {
    for (let round = 0; round < 8; round++) {
      const outcomes = await Promise.allSettled([1, 2, 3].map(() => lockDirectory(root)));
      const locks = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
      assert.ok(locks.length <= 1, `round ${round}: ${locks.length} locks`);
      for (const lock of locks) await lock.release();
      if (locks.length === 0) await (await lockDirectory(root)).release();
    }
  });

  it("takes directories whose path is longer than a socket's may be", async function () {
    if (process.platform !== "linux") {
      console.log("      skipped: only Linux has /proc/self/fd to shorten the path");
      this.skip();
    }
    const deep = join(root, "d".repeat(120));
    mkdirSync(deep);
    const lock = await lockDirectory(deep);
    await assert.rejects(lockDirectory(deep), { code: "LOCKED" });
    await lock.release();
  });
});
