/** Damaged, lost and old disks under real processes: nothing wrong is served, and the cluster mends itself. Runs the built programs. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@rhea/client/env-node";
import type { RheaClient } from "@rhea/client";
import { startLocalCluster, type LocalCluster } from "@rhea/operator/env-node";
import { killAll, launch, PROGRAMS, until } from "./harness/process.js";

const CLUSTER = {
  apiVersion: "rheakv.io/v1alpha1",
  kind: "RheaCluster",
  metadata: { name: "hurt" },
  spec: { pd: { replicas: 1 }, stores: { replicas: 3 } },
} as const;

describe("a cluster whose disks are hurt", function () {
  this.timeout(60_000);
  let folder = "";
  let dataDir = "";
  let cluster: LocalCluster | undefined;
  let client: RheaClient | undefined;

  const start = async (): Promise<RheaClient> => {
    cluster = await startLocalCluster({ dataDir, source: { cluster: CLUSTER }, ports: "free" });
    await cluster.ready(30_000);
    client = await connect({ pd: cluster.status().pd });
    return client;
  };
  const stop = async () => {
    await client?.close();
    client = undefined;
    await cluster?.stop();
    cluster = undefined;
  };
  const fill = async (kv: RheaClient, prefix: string) => {
    await Promise.all(Array.from({ length: 200 }, (_, i) => kv.put(`${prefix}/${i}`, `value ${prefix} ${i}`)));
  };
  const check = async (kv: RheaClient, prefix: string) => {
    const keys = Array.from({ length: 200 }, (_, i) => `${prefix}/${i}`);
    const values = await kv.multiGet(keys);
    assert.deepEqual(
      values.map(String),
      keys.map((_, i) => `value ${prefix} ${i}`),
    );
  };
  /** Waits until every region has three well peers and says which operations of a kind have succeeded. */
  const mended = (kv: RheaClient, kind: string, origin: string) =>
    until(`${kind} by ${origin}, then three healthy peers everywhere`, async () => {
      const { routes, health } = await kv.admin.regions({ withHealth: true });
      const isWell =
        routes.every(({ region }) => region?.peers.length === 3) && health.every((one) => one.fullyReplicated);
      const operations = await kv.admin.operations({ includeFinished: true });
      const done = operations.filter((one) => one.kind === kind && one.origin === origin && one.state === "succeeded");
      return isWell && done.length > 0 ? done : undefined;
    });
  const logOf = (name: string) => readFileSync(join(dataDir, "logs", `${name}.log`), "utf8");

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "rhea-damage-"));
    dataDir = join(folder, "data");
  });
  afterEach(async () => {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it("starts no group that a flipped bit has hit, names file and offset, and PD builds the peer anew", async () => {
    await fill(await start(), "flip");
    await stop();
    const directory = join(dataDir, "stores", "hurt-store-1", "log");
    const name = readdirSync(directory).find((file) => file.endsWith(".wal")) ?? "";
    const bytes = readFileSync(join(directory, name));
    const at = bytes.indexOf("value flip 7");
    assert.ok(at > 0);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(join(directory, name), bytes);

    const kv = await start();
    await mended(kv, "rebuild-peer", "checker");
    const log = logOf("hurt-store-1");
    const [, offset] = /group \d+ is condemned: \S+\.wal offset (\d+): frame \d+ is damaged/.exec(log) ?? [];
    assert.ok(Number(offset) > 0 && Number(offset) < at, log.slice(-2_000));
    await check(kv, "flip");
  });

  it("replaces a store whose older copy was brought back", async () => {
    await fill(await start(), "before");
    await stop();
    const directory = join(dataDir, "stores", "hurt-store-0");
    cpSync(directory, join(folder, "old"), { recursive: true });
    await fill(await start(), "after");
    await stop();
    rmSync(directory, { recursive: true });
    cpSync(join(folder, "old"), directory, { recursive: true });

    const kv = await start();
    await mended(kv, "replace-peer", "operator");
    assert.match(logOf("hurt-store-0"), /STALE_IDENTITY/);
    await check(kv, "before");
    await check(kv, "after");
  });

  it("replaces a store that has lost one of its two directories", async () => {
    await fill(await start(), "half");
    await stop();
    rmSync(join(dataDir, "stores", "hurt-store-2", "log"), { recursive: true });
    const kv = await start();
    await mended(kv, "replace-peer", "operator");
    assert.match(logOf("hurt-store-2"), /DISK_LOST/);
    await check(kv, "half");
  });
});

describe("a store on a small disk", function () {
  this.timeout(40_000);
  let folder = "";
  let client: RheaClient | undefined;
  let isMounted = false;
  const value = "x".repeat(64 * 1024);

  before(function () {
    folder = mkdtempSync(join(tmpdir(), "rhea-small-"));
    mkdirSync(join(folder, "disk"));
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m", "none", join(folder, "disk")], { stdio: "ignore" });
      isMounted = true;
    } catch {
      console.log("      skipped: only root can mount a small disk");
      this.skip();
    }
  });
  afterEach(async () => {
    await client?.close();
    client = undefined;
    await killAll();
  });
  after(() => {
    if (isMounted) execFileSync("umount", [join(folder, "disk")]);
    rmSync(folder, { recursive: true, force: true });
  });

  const start = async (name: string, reserveBytes: number) => {
    const fakePd = join(folder, `${name}.json`);
    const regions = [{ regionId: 3, startKey: "", endKey: "", voters: [{ storeId: 2, peerId: 4 }] }];
    const stores = [{ storeId: 2, name, address: "127.0.0.1:1" }];
    writeFileSync(fakePd, JSON.stringify({ clusterId: 1, initialState: "new", stores, regions }));
    const flags = ["--name", name, "--data-dir", join(folder, "disk", name), "--fake-pd", fakePd];
    const listen = ["--address", "127.0.0.1:0", "--status-address", "127.0.0.1:0"];
    const store = launch(PROGRAMS.store, [...flags, ...listen, "--disk.reserve-bytes", String(reserveBytes)]);
    const [, address = ""] = await store.says(/ready: store 2, address (\S+),/);
    client = await connect({ stores: [address] });
    return { store, kv: client };
  };

  it("refuses the first write already where less than the reserve is free", async () => {
    const { kv } = await start("reserve", 256 * 2 ** 20);
    await assert.rejects(kv.put("a", value, { timeoutMs: 1_000 }), { code: "DISK_FULL" });
    assert.equal(await kv.get("a"), undefined);
  });

  it("stops with DISK_FAILED when it is full, and has lost nothing acknowledged once there is room", async () => {
    const { store, kv } = await start("full", 0);
    let acknowledged = 0;
    await assert.rejects(async () => {
      for (;;) {
        await kv.put(`f/${acknowledged}`, value, { timeoutMs: 1_000 });
        acknowledged++;
      }
    });
    const { code, err } = await store.ended;
    assert.equal(code, 8, err);
    assert.match(err, /DISK_FAILED: .*ENOSPC|no space left/i);
    await kv.close();
    execFileSync("mount", ["-o", "remount,size=200m", join(folder, "disk")]);
    const again = await start("full", 0);
    const keys = Array.from({ length: acknowledged }, (_, i) => `f/${i}`);
    for (const key of keys) assert.equal((await again.kv.get(key))?.length, value.length, key);
    assert.ok(acknowledged > 10);
  });
});
