import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RheaError } from "@rhea/common";
import { nodeScheduler } from "@rhea/common/env-node";
import { KvCaller } from "../env-node/kv-caller.js";
import { freePort, startStoreProcess, type StoreProcess } from "../env-node/store-process.js";

const REGION = { regionId: 2, confVer: 1, version: 1 };

describe("three store processes with a fake PD", function () {
  this.timeout(90_000);
  let root: string;
  let ports: number[];
  const stores = new Map<number, StoreProcess>();
  const callers = new Map<number, KvCaller>();

  const start = async (n: number, flags: Record<string, string> = {}): Promise<StoreProcess> => {
    const store = await startStoreProcess({
      name: `store-${n}`,
      address: `127.0.0.1:${ports[n - 1] ?? 0}`,
      "status-address": "127.0.0.1:0",
      "data-dir": join(root, `store-${n}`),
      "fake-pd": join(root, "fake-pd.json"),
      "log-level": "error",
      "raft.tick-ms": "50",
      // One of the three keeps its data in memory: the engines may be mixed.
      engine: n === 3 ? "memory" : "leveldb",
      ...flags,
    });
    stores.set(n, store);
    callers.get(n)?.close();
    callers.set(n, new KvCaller(store.address));
    return store;
  };
  /** Tries stores until one answers with a result, as a client would. */
  const anywhere = async <T>(run: (caller: KvCaller) => Promise<T>): Promise<{ value: T; at: number }> => {
    let last: unknown;
    for (let attempt = 0; attempt < 300; attempt++) {
      for (const [at, caller] of callers) {
        try {
          return { value: await run(caller), at };
        } catch (error) {
          if (!(error instanceof RheaError) || !(error.retryable || error.code === "CANCELLED")) throw error;
          last = error;
        }
      }
      await new Promise<void>((resolve) => nodeScheduler.setTimer(50, resolve));
    }
    throw last;
  };
  const put = (key: string, value: string) => anywhere((caller) => caller.put(REGION, key, value));
  const get = async (key: string) => (await anywhere((caller) => caller.get(REGION, key))).value;

  before(async () => {
    root = mkdtempSync(join(tmpdir(), "rhea-three-"));
    ports = [await freePort(), await freePort(), await freePort()];
    const fakePd = {
      clusterId: 1,
      stores: ports.map((port, i) => ({ storeId: i + 1, name: `store-${i + 1}`, address: `127.0.0.1:${port}` })),
      regions: [
        { regionId: 2, startKey: "", endKey: "", voters: ports.map((_, i) => ({ storeId: i + 1, peerId: 11 + i })) },
      ],
      initialState: "new",
    };
    writeFileSync(join(root, "fake-pd.json"), JSON.stringify(fakePd));
    await Promise.all([start(1), start(2), start(3)]);
  });
  after(async () => {
    for (const caller of callers.values()) caller.close();
    await Promise.all([...stores.values()].map((store) => store.end("SIGKILL")));
    rmSync(root, { recursive: true });
  });

  it("serve puts and gets, keep every acknowledged write over kill -9 of the leader, and take it back", async () => {
    const { at: leader } = await put("a", "1");
    assert.equal(await get("a"), "1");
    await stores.get(leader)?.end("SIGKILL");
    callers.get(leader)?.close();
    callers.delete(leader);
    await put("b", "2");
    assert.equal(await get("a"), "1");
    await start(leader);
    await Promise.all([...stores.values()].map((store) => store.end("SIGKILL")));
    await Promise.all([start(1), start(2), start(3)]);
    assert.equal(await get("a"), "1");
    assert.equal(await get("b"), "2");
  });

  it("hand the leadership away at SIGTERM and exit with 0", async () => {
    const { at: leader } = await put("c", "3");
    assert.equal(await stores.get(leader)?.end("SIGTERM"), 0);
    callers.get(leader)?.close();
    callers.delete(leader);
    assert.equal(await get("c"), "3");
    await start(leader);
  });

  it("stop with the exit code of DISK_LOST when the directory is renamed under the process", async () => {
    await put("d", "4");
    renameSync(join(root, "store-3"), join(root, "elsewhere"));
    assert.equal(await stores.get(3)?.ended, 7);
    renameSync(join(root, "elsewhere"), join(root, "store-3"));
    await start(3);
  });

  it("refuse a second process on the same directory with LOCKED, and a wrong key with its place", async () => {
    await assert.rejects(
      startStoreProcess({
        name: "store-1",
        "data-dir": join(root, "store-1"),
        "fake-pd": join(root, "fake-pd.json"),
        "status-address": "127.0.0.1:0",
      }),
      /ended with 3: .*LOCKED/s,
    );
    const config = join(root, "bad.yaml");
    writeFileSync(config, "name: x\nraft:\n  tickms: 5\n");
    await assert.rejects(startStoreProcess({ config }), /ended with 2: .*bad.yaml:3:3/s);
  });
});
