import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeDisk } from "@rhea/common/env-node";
import { RheaError } from "@rhea/common";
import { describeKvEngine } from "./engine-suite.js";
import { openMemoryKv } from "./memory-engine.js";

const temporary = (): string => mkdtempSync(join(tmpdir(), "rhea-kv-"));

describeKvEngine("memory", async () => {
  const directory = temporary();
  return {
    open: () => openMemoryKv({ disk: nodeDisk, directory, rewriteBytes: 4_096 }),
    destroy: async () => rmSync(directory, { recursive: true }),
  };
});

describe("memory engine's journal", () => {
  let directory: string;
  const file = (): string =>
    join(directory, readdirSync(directory).filter((name) => name.startsWith("journal-"))[0] ?? "");
  const open = () => openMemoryKv({ disk: nodeDisk, directory });
  const put = async (key: string): Promise<void> => {
    const engine = await open();
    const batch = engine.batch();
    batch.put(key, Buffer.from(key));
    await engine.write(batch);
    await engine.close();
  };
  beforeEach(() => {
    directory = temporary();
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it("cuts a torn tail and keeps what was acknowledged", async () => {
    await put("a");
    await put("b");
    const whole = readFileSync(file());
    appendFileSync(file(), whole.subarray(0, 21));
    const engine = await open();
    assert.equal(engine.get("b")?.toString(), "b");
    await engine.close();
    assert.equal(readFileSync(file()).length, whole.length);
  });

  it("refuses a flipped bit before valid frames, naming file and offset", async () => {
    await put("a");
    await put("b");
    const bytes = readFileSync(file());
    bytes[18] = (bytes[18] ?? 0) ^ 1;
    writeFileSync(file(), bytes);
    await assert.rejects(
      open(),
      (error: unknown) => error instanceof RheaError && error.code === "CORRUPTION" && error.details.offset === 0,
    );
  });
});
