import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeDisk, nodeRng } from "@rhea/common/env-node";
import { StoreState, type Region } from "@rhea/proto";
import { readIdentity } from "@rhea/raft";
import { createFakeKv } from "../testing/fake-kv.js";
import { createFakeRaft } from "../testing/fake-raft.js";
import { createVirtualEnv } from "../testing/virtual-env.js";
import { openEngineWith } from "../engine/open-engine-with.js";
import { enlist, joinCluster, type PdCalls } from "./registration.js";

/** A PD that knows `stores` and gives the first region to whoever asks first, or to nobody. */
function scriptedPd(
  options: { stores?: { storeId: number; name: string; state: number }[]; first?: Region | undefined } = {},
) {
  const calls: string[] = [];
  let nextId = 100;
  let first = options.first;
  let cut: string | undefined;
  const answers: Record<string, (request: Record<string, unknown>) => unknown> = {
    ClusterInfo: () => ({ clusterId: 1, bootstrapped: first !== undefined }),
    GetStores: () => ({ stores: (options.stores ?? []).map((store) => ({ store })) }),
    AllocId: ({ count }) => ({ firstId: (nextId += Number(count)) - Number(count), count, clusterId: 1 }),
    PutStore: () => ({}),
    Bootstrap: ({ region }) => {
      first ??= region as Region;
      return { won: first.regionId === (region as Region).regionId, region: first };
    },
  };
  const pd = {
    call: async (method: { path: string }, request: unknown): Promise<unknown> => {
      const name = method.path.slice(method.path.lastIndexOf("/") + 1);
      calls.push(name);
      if (cut === name) throw new Error(`cut at ${name}`);
      return answers[name]?.(request as Record<string, unknown>);
    },
  } as unknown as PdCalls;
  return { pd, calls, cutAt: (name: string | undefined) => (cut = name), first: () => first };
}

describe("registration", () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "rhea-join-"));
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const places = () => ({ disk: nodeDisk, logDirectory: join(root, "log"), dataDirectory: join(root, "data") });

  it("gives a new store an id from PD and an identity in both directories", async () => {
    const { pd } = scriptedPd();
    await enlist(pd, places(), { clusterId: 1, name: "a" }, nodeRng);
    assert.equal((await readIdentity(places()))?.data.storeId, 100);
  });

  it("is DISK_LOST for a name that PD knows, unless that store is a tombstone", async () => {
    const known = (state: StoreState) => scriptedPd({ stores: [{ storeId: 5, name: "a", state }] });
    await assert.rejects(enlist(known(StoreState.STORE_DOWN).pd, places(), { clusterId: 1, name: "a" }, nodeRng), {
      code: "DISK_LOST",
    });
    assert.equal(await readIdentity(places()), undefined);
    await enlist(known(StoreState.STORE_TOMBSTONE).pd, places(), { clusterId: 1, name: "a" }, nodeRng);
  });

  async function join_(pd: PdCalls, subject: Awaited<ReturnType<typeof openStore>>): Promise<void> {
    const { engine } = subject;
    let isDone = false;
    const joined = joinCluster({
      pd,
      engine,
      store: { storeId: 1 },
      clusterId: 1,
      disk: nodeDisk,
      dataDirectory: join(root, "data"),
    });
    const end = (): boolean => (isDone = true);
    joined.then(end, end);
    const state = { isDone: () => isDone };
    while (!state.isDone()) {
      await subject.env.settle();
      await nodeDisk.stat(root);
    }
    await joined;
  }

  async function openStore() {
    await nodeDisk.mkdir(join(root, "data"));
    const env = createVirtualEnv();
    const engine = await openEngineWith(
      {
        env,
        clusterId: 1,
        storeId: 1,
        incarnation: 1,
        bootNonce: Buffer.alloc(16),
        kv: createFakeKv({}),
        logDirectory: "log",
        snapshotDirectory: "snapshots",
        resolveStore: () => undefined,
        onFatal: (error) => assert.ifError(error),
      },
      createFakeRaft(env.scheduler),
    );
    return { env, engine };
  }

  it("offers the first region once and keeps it when it wins, also over a cut before PD's answer", async () => {
    const subject = await openStore();
    const script = scriptedPd();
    script.cutAt("Bootstrap");
    await assert.rejects(join_(script.pd, subject), /cut at Bootstrap/);
    script.cutAt(undefined);
    await join_(script.pd, subject);
    assert.deepEqual(
      subject.engine.regions().map(({ regionId }) => regionId),
      [100],
    );
    assert.equal(script.first()?.regionId, 100);
    const asked = script.calls.length;
    await join_(script.pd, subject);
    assert.equal(script.calls.slice(asked).includes("Bootstrap"), false);
  });

  it("clears its region when another store was first", async () => {
    const subject = await openStore();
    const script = scriptedPd();
    script.cutAt("Bootstrap");
    await assert.rejects(join_(script.pd, subject));
    const other = scriptedPd({
      first: { regionId: 7, startKey: Buffer.alloc(0), endKey: Buffer.alloc(0), epoch: null, peers: [] },
    });
    await join_(other.pd, subject);
    assert.deepEqual(subject.engine.regions(), []);
  });

  it("goes on after a crash between the end of its region and the end of the note about it", async () => {
    const subject = await openStore();
    const script = scriptedPd();
    script.cutAt("Bootstrap");
    await assert.rejects(join_(script.pd, subject));
    const discarded = subject.engine.discardRegion(100);
    await subject.env.settle();
    await discarded;
    const other = scriptedPd({
      first: { regionId: 7, startKey: Buffer.alloc(0), endKey: Buffer.alloc(0), epoch: null, peers: [] },
    });
    await join_(other.pd, subject);
    assert.deepEqual(subject.engine.regions(), []);
    const asked = other.calls.length;
    await join_(other.pd, subject);
    assert.deepEqual(other.calls.slice(asked), ["PutStore", "ClusterInfo"]);
  });
});
