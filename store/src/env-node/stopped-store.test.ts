import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLevelKv } from "./leveldb-engine.js";
import { lockStoppedStore } from "./stopped-store.js";

/** Opens a LevelDB in a process of its own (a process never locks itself out) and says "open" or "locked". */
function openElsewhere(directory: string): ChildProcess {
  const level = JSON.stringify(createRequire(import.meta.url).resolve("classic-level"));
  const script = `const { ClassicLevel } = require(${level}); const db = new ClassicLevel(${JSON.stringify(directory)});
    db.open().then(() => console.log("open"), () => console.log("locked")); process.stdin.resume();`;
  return spawn(process.execPath, ["-e", script], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, NODE_OPTIONS: "" },
  });
}

async function firstWord(child: ChildProcess): Promise<string> {
  assert.ok(child.stdout);
  const [chunk] = (await once(child.stdout, "data")) as [Buffer];
  return chunk.toString().trim();
}

describe("the lock of a stopped store", function () {
  this.timeout(10_000);
  let root: string;
  let child: ChildProcess | undefined;

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), "rhea-stopped-"));
    mkdirSync(join(root, "data"));
    await (await openLevelKv({ directory: directory() })).close();
  });
  afterEach(() => {
    child?.kill();
    child = undefined;
    rmSync(root, { recursive: true });
  });

  const directory = (): string => join(root, "data", "leveldb");
  const contents = (): unknown =>
    readdirSync(directory())
      .sort()
      .map((name) => [name, statSync(join(directory(), name)).size, statSync(join(directory(), name)).mtimeMs]);

  it("keeps stores from starting until it is released", async () => {
    const lock = await lockStoppedStore(root);
    assert.ok(lock);
    child = openElsewhere(directory());
    assert.equal(await firstWord(child), "locked");
    child.kill();
    await lock.release();
    await (await lockStoppedStore(root))?.release();
    child = openElsewhere(directory());
    assert.equal(await firstWord(child), "open");
  });

  it("is refused while a store holds it and taken when that is gone; nothing changes in the directory", async () => {
    child = openElsewhere(directory());
    assert.equal(await firstWord(child), "open");
    const before = contents();
    await assert.rejects(lockStoppedStore(root), { code: "LOCKED", message: /a store process runs on it/ });
    child.kill();
    await once(child, "exit");
    await (await lockStoppedStore(root))?.release();
    assert.deepEqual(contents(), before);
  });

  it("is absent where no store was started", async () => {
    rmSync(directory(), { recursive: true });
    assert.equal(await lockStoppedStore(root), undefined);
  });
});
