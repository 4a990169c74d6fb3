import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RheaError } from "@rhea/common";
import { createSourceReader } from "./cluster-source.js";
import { layoutOf, type Layout } from "./layout.js";
import { startLocalCluster } from "./local-cluster.js";
import { lockDataDir, lockHolder } from "./lock.js";
import { resetLocalCluster } from "./maintenance.js";
import { HOST, pickPort } from "./ports.js";
import { describeDifference, storeSettings } from "./process-config.js";
import { newState, readState, writeState, type OperatorState } from "./state-file.js";

const CLUSTER =
  "apiVersion: rheakv.io/v1alpha1\nkind: RheaCluster\nmetadata: { name: demo }\nspec: { stores: { replicas: 3 } }\n";

function refused(run: () => unknown): RheaError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof RheaError);
    return error;
  }
  throw new assert.AssertionError({ message: "nothing was refused" });
}

describe("data directory", () => {
  let folder: string;
  let layout: Layout;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "rhea-data-"));
    layout = layoutOf(join(folder, "data"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("is locked by one process, which a second one names", () => {
    const lock = lockDataDir(layout);
    const error = refused(() => lockDataDir(layout));
    assert.equal(error.code, "LOCKED");
    assert.match(error.message, new RegExp(`is in use by process ${process.pid}`));
    lock.release();
    assert.equal(lockHolder(layout), undefined);
    lockDataDir(layout).release();
  });

  it("is taken over from a process that is gone, even if its number is used again", () => {
    mkdirSync(layout.operatorDir, { recursive: true });
    writeFileSync(layout.lockFile, JSON.stringify({ pid: process.pid, startToken: "before" }));
    const lock = lockDataDir(layout);
    assert.equal(lockHolder(layout)?.pid, process.pid);
    lock.release();
    assert.deepEqual(readdirSync(layout.operatorDir), []);
  });

  it("keeps its state and refuses one of a later version", async () => {
    assert.equal(readState(layout), undefined);
    const state = newState("demo", { spec: { stores: { replicas: 3 } } });
    await writeState(layout, state);
    assert.deepEqual(readState(layout), state);
    await writeState(layout, { ...state, format: 3 });
    assert.equal(refused(() => readState(layout)).code, "VERSION_UNSUPPORTED");
    const { stores: _, ...incomplete } = state;
    for (const text of ["{", "", "null", "[]", "{}", '"x"', '{"format":1}', JSON.stringify(incomplete)]) {
      writeFileSync(layout.stateFile, text);
      assert.equal(refused(() => readState(layout)).code, "CORRUPTION", text);
    }
  });

  it("is read as the version with one PD member wrote it", async () => {
    const { pds: _, nextPdOrdinal: __, ...rest } = newState("demo", { spec: { stores: { replicas: 3 } } });
    const pd = { name: "demo-pd-0", port: 7400, statusPort: 7401, initialised: true };
    await writeState(layout, { ...rest, format: 1, pd } as unknown as OperatorState);
    const { pds, nextPdOrdinal, format } = readState(layout) ?? newState("", { spec: { stores: { replicas: 3 } } });
    assert.deepEqual({ pds, nextPdOrdinal, format }, { pds: [{ ...pd, ordinal: 0 }], nextPdOrdinal: 1, format: 2 });
  });

  it("is not begun anew where the state is lost and stores are left", async () => {
    const file = join(folder, "cluster.yaml");
    writeFileSync(file, CLUSTER);
    mkdirSync(join(layout.root, "stores", "demo-store-3"), { recursive: true });
    await assert.rejects(startLocalCluster({ dataDir: layout.root, source: { file } }), /state\.json is missing/);
    assert.equal(lockHolder(layout), undefined);
  });

  it("is not made for a wrong cluster file", async () => {
    const file = join(folder, "cluster.yaml");
    writeFileSync(file, CLUSTER.replace("replicas: 3", "replicas: x"));
    await assert.rejects(startLocalCluster({ dataDir: layout.root, source: { file } }), (error: RheaError) => {
      assert.equal(error.code, "INVALID_CONFIG");
      assert.match(error.message, /cluster\.yaml:4:29: spec\.stores\.replicas is "x"/);
      return true;
    });
    assert.deepEqual(readdirSync(folder), ["cluster.yaml"]);
  });

  it("belongs to one cluster", async () => {
    await writeState(layout, newState("other", { spec: { stores: { replicas: 3 } } }));
    const file = join(folder, "cluster.yaml");
    writeFileSync(file, CLUSTER);
    await assert.rejects(startLocalCluster({ dataDir: layout.root, source: { file } }), /belongs to cluster other/);
  });

  it("is not deleted unless it is a cluster's", async () => {
    writeFileSync(join(folder, "precious"), "");
    await assert.rejects(
      resetLocalCluster(folder, () => undefined),
      /not a cluster's data directory/,
    );
    assert.deepEqual(readdirSync(folder), ["precious"]);
  });
});

describe("cluster source", () => {
  let file: string;
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "rhea-source-"));
    file = join(folder, "cluster.yaml");
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("reports each change of content once, refused ones too", () => {
    const reader = createSourceReader({ file });
    writeFileSync(file, CLUSTER);
    const first = reader.read(undefined);
    assert.ok(first.kind === "accepted");
    assert.equal(reader.read(first.cluster).kind, "unchanged");
    writeFileSync(file, CLUSTER.replace("replicas: 3", "replicas: 2"));
    const second = reader.read(first.cluster);
    assert.ok(second.kind === "refused");
    assert.match(second.message, /stores\.replicas must be at least regions\.replicas/);
    assert.equal(reader.read(first.cluster).kind, "unchanged");
    writeFileSync(file, CLUSTER);
    assert.equal(reader.read(first.cluster).kind, "accepted");
  });
});

describe("cluster source that is no text", () => {
  const readOnce = (file: string) => createSourceReader({ file }).read(undefined);

  it("is refused at the first look and when it becomes so, with the cause", () => {
    const folder = mkdtempSync(join(tmpdir(), "rhea-source-"));
    try {
      const file = join(folder, "cluster.yaml");
      const absent = readOnce(file);
      assert.ok(absent.kind === "refused");
      assert.match(absent.message, /cluster\.yaml cannot be read: ENOENT/);
      const directory = readOnce(folder);
      assert.ok(directory.kind === "refused");
      assert.match(directory.message, /cannot be read: EISDIR/);
      writeFileSync(file, CLUSTER);
      const reader = createSourceReader({ file });
      assert.equal(reader.read(undefined).kind, "accepted");
      writeFileSync(file, Buffer.from([0xff, 0xfe, 0x00]));
      const garbage = reader.read(undefined);
      assert.ok(garbage.kind === "refused");
      assert.match(garbage.message, /cluster\.yaml:1:1: the file is not UTF-8 text/);
      rmSync(file);
      assert.equal(reader.read(undefined).kind, "refused");
      assert.equal(reader.read(undefined).kind, "unchanged");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("ports", () => {
  it("takes the wanted one where it is free, and another where it is busy or spoken for", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    try {
      assert.notEqual(await pickPort([address.port], new Set()), address.port);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
    assert.equal(await pickPort([address.port], new Set()), address.port);
    assert.notEqual(await pickPort([address.port], new Set([address.port])), address.port);
  });
});

describe("settings of a process", () => {
  const withPds = (...ports: number[]) => ({
    ...newState("demo", { spec: { stores: { replicas: 3 } } }),
    pds: ports.map((port, ordinal) => ({
      name: `demo-pd-${ordinal}`,
      ordinal,
      port,
      statusPort: 0,
      initialised: true,
    })),
  });
  const state = withPds(7400);
  const desired = {
    logLevel: "info",
    raft: { tickMs: 100, electionTicks: 8, heartbeatTicks: 2 },
  } as Parameters<typeof storeSettings>[1];

  it("differ where a user changed them or PD has moved", () => {
    const started = storeSettings(state, desired);
    assert.equal(describeDifference(started, storeSettings(state, desired)), undefined);
    const changed = { ...desired, raft: { ...desired.raft, tickMs: 50 } };
    assert.equal(
      describeDifference(started, storeSettings(withPds(7402), changed)),
      "raft.tickMs 100 -> 50, pd 127.0.0.1:7400 -> 127.0.0.1:7402",
    );
    const grown = storeSettings(withPds(7400, 7402), desired);
    assert.equal(describeDifference(started, grown), undefined, "a store learns of other members from PD");
  });

  it("do not differ by a key that the running process was not told", () => {
    assert.equal(describeDifference({ logLevel: "warn" }, storeSettings(state, desired)), undefined);
    assert.equal(describeDifference(undefined, storeSettings(state, desired)), undefined);
  });
});
