import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RheaError } from "@rhea/common";
import { describeKvEngine } from "../kv/engine-suite.js";
import { openLevelKv } from "./leveldb-engine.js";

describeKvEngine("leveldb", async () => {
  const directory = mkdtempSync(join(tmpdir(), "rhea-level-"));
  return { open: () => openLevelKv({ directory }), destroy: async () => rmSync(directory, { recursive: true }) };
});

describe("leveldb engine", () => {
  it("refuses a directory that is open elsewhere with LOCKED", async () => {
    const directory = mkdtempSync(join(tmpdir(), "rhea-level-"));
    const engine = await openLevelKv({ directory });
    await assert.rejects(
      openLevelKv({ directory }),
      (error: unknown) => error instanceof RheaError && error.code === "LOCKED",
    );
    await engine.close();
    rmSync(directory, { recursive: true });
  });
});
