import { strict as assert } from "node:assert";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig, silentLogger, type RpcChannel } from "@rhea/common";
import { grpcNet } from "@rhea/common/env-node";
import { PdMethods, type PdToStore } from "@rhea/proto";
import { PD_CONFIG } from "./config-schema.js";
import type { RunningPd } from "../process/index.js";
import { startPd, type PdConfig } from "./start-pd.js";

const header = { clusterId: 3 };
const deadline = { timeoutMs: 10_000 };
const bytes = new Uint8Array();

describe("startPd", () => {
  let directory: string;
  let pd: RunningPd | undefined;
  let channel: RpcChannel | undefined;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rhea-pd-"));
  });

  afterEach(async () => {
    channel?.close();
    await pd?.close();
    pd = undefined;
    rmSync(directory, { recursive: true, force: true });
  });

  function configOf(argv: readonly string[]): PdConfig {
    const given = [
      "--name",
      "pd-1",
      "--cluster-id",
      "3",
      "--data-dir",
      join(directory, "pd"),
      "--address",
      "127.0.0.1:0",
    ];
    return loadConfig(PD_CONFIG, { argv: [...given, "--status-address", "127.0.0.1:0", ...argv], env: {} });
  }

  async function start(...argv: string[]): Promise<RpcChannel> {
    pd = await startPd(configOf(argv), silentLogger, (error) => assert.fail(error));
    await pd.ready;
    channel = grpcNet().connect(pd.address);
    return channel;
  }

  async function stop(): Promise<void> {
    channel?.close();
    await pd?.close();
    pd = undefined;
  }

  it("bootstraps a cluster over the network and knows it after a restart", async () => {
    let rpc = await start("--replicas", "1");
    const info = await rpc.unary(PdMethods.ClusterInfo, {}, deadline);
    assert.equal(info.bootstrapped, false);
    assert.equal(info.members[0]?.address, pd?.address);
    assert.equal(info.config?.replicas, 1);
    const { firstId: storeId } = await rpc.unary(PdMethods.AllocId, { header, count: 3 }, deadline);
    const store = {
      storeId,
      name: "s1",
      address: "127.0.0.1:1",
      uuid: Buffer.alloc(16, 7),
      incarnation: 1,
      bootNonce: Buffer.alloc(16),
    };
    await rpc.unary(PdMethods.PutStore, { header, store }, deadline);
    const peer = { peerId: storeId + 2, storeId };
    const region = {
      regionId: storeId + 1,
      startKey: bytes,
      endKey: bytes,
      epoch: { confVer: 1, version: 1 },
      peers: [peer],
    };
    assert.equal((await rpc.unary(PdMethods.Bootstrap, { header, store, region }, deadline)).won, true);
    assert.equal(
      (await rpc.unary(PdMethods.Bootstrap, { header, store, region }, deadline)).won,
      true,
      "asked again after a restart",
    );
    await assert.rejects(rpc.unary(PdMethods.AllocId, { header: { clusterId: 9 } }, deadline), {
      code: "CLUSTER_MISMATCH",
    });

    const stream = rpc.stream(PdMethods.Heartbeats);
    const first = new Promise<PdToStore>((resolve) => stream.listen({ onMessage: resolve, onClose: () => undefined }));
    stream.send({
      header,
      store,
      fullRound: true,
      stats: { storeId, capacity: 1e12, available: 5e11 },
      regions: [{ region, leader: peer, term: 6 }],
    });
    const answer = await first;
    assert.equal(answer.error, null);
    assert.equal(answer.stores[0]?.name, "s1");
    await stop();

    rpc = await start("--initial-state", "existing");
    const found = await rpc.unary(PdMethods.GetRegion, { header, key: Buffer.from("k") }, deadline);
    assert.equal(found.routes[0]?.region?.regionId, storeId + 1);
    const { firstId: next } = await rpc.unary(PdMethods.AllocId, { header, count: 1 }, deadline);
    assert.ok(next > storeId + 2);
    const second = rpc.stream(PdMethods.Heartbeats);
    const refusal = new Promise<PdToStore>((resolve) =>
      second.listen({ onMessage: resolve, onClose: () => undefined }),
    );
    second.send({ header, store: { ...store, bootNonce: Buffer.alloc(16, 1) }, fullRound: true });
    assert.equal((await refusal).error?.code, "STALE_IDENTITY");
  });

  it("leaves the identity of a member that runs alone when it is started a second time", async () => {
    await start();
    const identity = () => readFileSync(join(directory, "pd", "identity.json"), "utf8");
    const before = identity();
    await assert.rejects(
      startPd(configOf([]), silentLogger, (error) => assert.fail(error)),
      { code: "LOCKED" },
    );
    assert.equal(identity(), before);
  });

  it("refuses a lost disk, another cluster's directory, and replicas that are not odd", async () => {
    await assert.rejects(start("--initial-state", "existing"), { code: "DISK_LOST" });
    await assert.rejects(start("--replicas", "2"), { code: "INVALID_CONFIG" });
    await start();
    await stop();
    await assert.rejects(start("--cluster-id", "4"), { code: "CLUSTER_MISMATCH" });
    rmSync(join(directory, "pd", "data"), { recursive: true });
    rmSync(join(directory, "pd", "log"), { recursive: true });
    assert.ok(existsSync(join(directory, "pd", "identity.json")));
    await assert.rejects(start(), { code: "CORRUPTION" });
  });
});
