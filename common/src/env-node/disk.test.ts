import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeDisk } from "./disk.js";

describe("node disk", () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "rhea-disk-"));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it("makes a directory with those above it, and leaves one that is there", async () => {
    const path = join(root, "a", "b", "c");
    await Promise.all([nodeDisk.mkdir(path), nodeDisk.mkdir(path)]);
    await nodeDisk.mkdir(path);
    assert(statSync(path).isDirectory());
  });

  it("fails where a file stands in the way", async () => {
    writeFileSync(join(root, "file"), "");
    await assert.rejects(nodeDisk.mkdir(join(root, "file")), { code: "EEXIST" });
    await assert.rejects(nodeDisk.mkdir(join(root, "file", "x", "y")), { code: "ENOTDIR" });
  });

  it("fails where the system lets nobody make one, instead of trying for ever", async function () {
    if (!existsSync("/proc/self")) {
      console.log("      skipped: this system has no /proc");
      this.skip();
    }
    await assert.rejects(nodeDisk.mkdir("/proc/rhea/data"), { code: "ENOENT" });
  });
});
