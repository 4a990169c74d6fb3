import { strict as assert } from "node:assert";
import { MIB, VirtualCluster, type VirtualStore } from "../testing/virtual-cluster.js";
import { addOperation, listOperations } from "./operations-api.js";
import { cancelDrain, drainStore, getStores, removeStore, reportDiskLost } from "./stores-api.js";

const header = { clusterId: 1 };
const storeRequest = (store: VirtualStore) => ({ header, storeId: store.storeId, origin: "user", force: false });

async function startCluster(options: {
  stores: number;
  regions?: number;
  size?: number;
  settings?: ConstructorParameters<typeof VirtualCluster>[0];
}) {
  const world = new VirtualCluster(options.settings);
  const stores: VirtualStore[] = [];
  stores.push(await world.addStore());
  await world.bootstrap(stores[0]!);
  while (stores.length < options.stores) stores.push(await world.addStore());
  await world.time.pass(5000);
  if (options.regions !== undefined) await world.presplit(options.regions, options.size ?? 20 * MIB);
  await world.time.pass(60_000);
  return { world, stores };
}

const spread = (counts: number[]) => Math.max(...counts) - Math.min(...counts);
const info = (world: VirtualCluster, store: VirtualStore) =>
  getStores(world.leading, { header, includeTombstones: true }).stores!.find(
    ({ store: s }) => s!.storeId === store.storeId,
  )!;

async function assertQuiet(world: VirtualCluster): Promise<void> {
  const before = world.stepCount;
  await world.time.pass(300_000);
  assert.equal(world.stepCount - before, 0, "steps in five quiet minutes");
  assert.equal(world.leading.operations.runningCount, 0);
}

describe("virtual cluster", () => {
  it("brings the first region from one to three voters within two seconds of the third store", async () => {
    const world = new VirtualCluster();
    await world.bootstrap(await world.addStore());
    await world.addStore();
    await world.addStore();
    await world.time.pass(2000);
    assert.ok(world.isHealthy());
    assert.equal(world.stepCount, 4);
  });

  it("spreads peers and leaders over new stores with few moves, and then rests", async () => {
    const { world, stores } = await startCluster({ stores: 3, regions: 30 });
    assert.ok(world.isHealthy());
    assert.ok(spread(stores.map((s) => world.leadersOn(s.storeId))) <= 2);
    const before = world.executed.get(1) ?? 0;
    stores.push(await world.addStore(), await world.addStore());
    await world.time.pass(120_000);
    const peers = stores.map((s) => world.peersOn(s.storeId));
    assert.ok(spread(peers) <= 2, `peers per store: ${peers.join(", ")}`);
    assert.ok(spread(stores.map((s) => world.leadersOn(s.storeId))) <= 2);
    const moves = (world.executed.get(1) ?? 0) - before;
    const least = 2 * Math.floor((30 * 3) / 5);
    assert.ok(moves <= least + 4, `${moves} moves, ${least} would do`);
    await assertQuiet(world);
  });

  it("gives each of two new stores a peer even with four regions", async () => {
    const { world, stores } = await startCluster({ stores: 3, regions: 4, size: 1000 });
    stores.push(await world.addStore(), await world.addStore());
    await world.time.pass(30_000);
    for (const { storeId } of stores) assert.ok(world.peersOn(storeId) >= 1);
    await assertQuiet(world);
  });

  it("empties a draining store, leaders first, and makes it a tombstone", async () => {
    const { world, stores } = await startCluster({ stores: 4, regions: 20 });
    const leaving = stores[1]!;
    await drainStore(world.leading, storeRequest(leaving));
    await world.time.pass(3000);
    assert.equal(world.leadersOn(leaving.storeId), 0);
    await world.time.pass(60_000);
    assert.equal(world.peersOn(leaving.storeId), 0);
    assert.equal(info(world, leaving).store!.state, 4);
    assert.equal(info(world, leaving).drainedRatio, 1);
    assert.equal(leaving.held.size, 0, "removed peers are destroyed");
    assert.ok(world.isHealthy());
    await assertQuiet(world);
  });

  it("says why a drain cannot make progress, and goes on when a store comes", async () => {
    const { world, stores } = await startCluster({ stores: 3, regions: 4 });
    await drainStore(world.leading, storeRequest(stores[0]!));
    await world.time.pass(30_000);
    assert.match(info(world, stores[0]!).drainBlocked!, /2 other live stores < 3 replicas/);
    await world.addStore();
    await world.time.pass(60_000);
    assert.equal(info(world, stores[0]!).store!.state, 4);
  });

  it("ends a drain half-way when it is cancelled and leaves no extra peer", async () => {
    const { world, stores } = await startCluster({
      stores: 4,
      regions: 20,
      settings: { operationLimit: 1, regionBalanceLimit: 0 },
    });
    const leaving = stores[2]!;
    await drainStore(world.leading, storeRequest(leaving));
    const total = info(world, leaving).drainTotal!;
    while (world.peersOn(leaving.storeId) >= total) await world.time.pass(50);
    await cancelDrain(world.leading, storeRequest(leaving));
    const left = world.peersOn(leaving.storeId);
    await world.time.pass(60_000);
    assert.ok(left > 0 && left < total);
    assert.ok(world.peersOn(leaving.storeId) >= left - 1);
    assert.equal(info(world, leaving).store!.state, 0);
    assert.ok(world.isHealthy());
    await assertQuiet(world);
  });

  it("heals a dead store by itself after max_down_time where PD repairs", async () => {
    const { world, stores } = await startCluster({ stores: 4, regions: 20, settings: { maxDownTimeMs: 60_000 } });
    world.kill(stores[0]!);
    await world.time.pass(55_000);
    assert.ok(world.peersOn(stores[0]!.storeId) > 0);
    await world.time.pass(40_000);
    assert.equal(world.peersOn(stores[0]!.storeId), 0);
    assert.ok(world.isHealthy());
    await assertQuiet(world);
  });

  it("leaves a dead store's peers to the operator, whose replace-peer is idempotent", async () => {
    const { world, stores } = await startCluster({
      stores: 3,
      regions: 4,
      settings: { repair: "operator", maxDownTimeMs: 60_000 },
    });
    world.kill(stores[0]!);
    const dead = stores[0]!.storeId;
    await reportDiskLost(world.leading, { header, storeId: dead, origin: "operator", reason: "volume gone" });
    const spare = await world.addStore();
    await world.time.pass(120_000);
    assert.equal(world.peersOn(dead), 4);
    assert.equal(info(world, stores[0]!).diskLost, true);
    await assert.rejects(removeStore(world.leading, storeRequest(stores[0]!)), /peers of 4 regions/);
    const request = (regionId: number) => ({
      ...{
        header,
        kind: "replace-peer",
        regionId,
        storeId: spare.storeId,
        fromStoreId: dead,
        peerId: 0,
        splitKey: new Uint8Array(),
      },
      ...{ origin: "operator", reason: `store ${dead} is dead` },
    });
    for (const regionId of world.regions.keys()) {
      const first = await addOperation(world.leading, request(regionId));
      const again = await addOperation(world.leading, request(regionId));
      assert.equal(again.operation!.operationId, first.operation!.operationId);
    }
    await world.time.pass(1);
    await world.restartPd();
    for (const regionId of world.regions.keys()) await addOperation(world.leading, request(regionId));
    await world.time.pass(30_000);
    assert.equal(world.peersOn(dead), 0);
    assert.ok(world.isHealthy());
    for (const regionId of world.regions.keys()) {
      const done = await addOperation(world.leading, request(regionId));
      assert.equal(done.alreadyDone, true);
    }
    const { operations } = listOperations(world.leading, {
      header,
      includeFinished: true,
      regionId: 0,
      operationId: 0,
      limit: 0,
    });
    const replacing = operations!.filter((o) => o.kind === "replace-peer" && o.state === "succeeded");
    assert.ok(replacing.length >= 4 && replacing.every((o) => o.origin === "operator"));
    await removeStore(world.leading, storeRequest(stores[0]!));
    assert.equal(info(world, stores[0]!).store!.state, 4);
    await assertQuiet(world);
  });

  it("destroys the peers of a store that was cut off while they were replaced", async () => {
    const { world, stores } = await startCluster({ stores: 4, regions: 8, settings: { maxDownTimeMs: 30_000 } });
    world.kill(stores[0]!);
    await world.time.pass(90_000);
    assert.ok(stores[0]!.held.size > 0);
    await world.restart(stores[0]!);
    await world.time.pass(65_000);
    for (const regionId of stores[0]!.held.keys()) {
      assert.ok(world.regions.get(regionId)!.peers.some((peer) => peer.storeId === stores[0]!.storeId));
    }
    assert.ok(world.isHealthy());
  });

  it("rebuilds a broken peer of a live store under a new peer id", async () => {
    const { world, stores } = await startCluster({ stores: 3, regions: 2 });
    const [region] = world.regions.values();
    const peer = region!.peers.find((p) => p.peerId !== region!.leaderPeerId)!;
    stores.find((s) => s.storeId === peer.storeId)!.faults = [
      { regionId: region!.regionId, peerId: peer.peerId, code: "CORRUPTION", message: "flipped bit" },
    ];
    await world.time.pass(10_000);
    assert.ok(!region!.peers.some((p) => p.peerId === peer.peerId));
    assert.ok(region!.peers.some((p) => p.storeId === peer.storeId));
    assert.ok(world.isHealthy());
    await assertQuiet(world);
  });

  it("splits what is too large, again and again, and balances the pieces", async () => {
    const { world, stores } = await startCluster({ stores: 3 });
    const [region] = world.regions.values();
    region!.size = 700 * MIB;
    world.report(region!);
    await world.time.pass(300_000);
    assert.ok([...world.regions.values()].every((r) => r.size <= 96 * MIB));
    assert.equal(world.regions.size, 8);
    assert.ok(spread(stores.map((s) => world.leadersOn(s.storeId))) <= 1);
    await assertQuiet(world);
  });

  it("keeps replicas of a region in different zones", async () => {
    const world = new VirtualCluster();
    const zones = ["a", "a", "b", "b", "c", "c"];
    for (const zone of zones) {
      const store = await world.addStore({ zone });
      if (world.regions.size === 0) await world.bootstrap(store);
    }
    await world.time.pass(3000);
    await world.presplit(18, 20 * MIB);
    await world.time.pass(120_000);
    for (const { peers } of world.regions.values()) {
      assert.equal(new Set(peers.map((peer) => world.stores.get(peer.storeId)!.labels["zone"])).size, 3);
    }
    await assertQuiet(world);
  });

  it("moves peers to better places when stores in other zones come, one gain at a time, and then rests", async () => {
    const world = new VirtualCluster();
    await world.bootstrap(await world.addStore({ zone: "a", host: "1" }));
    await world.addStore({ zone: "a", host: "2" });
    await world.addStore({ zone: "a", host: "3" });
    await world.time.pass(3000);
    await world.presplit(9, MIB);
    await world.time.pass(10_000);
    await world.addStore({ zone: "b", host: "4" });
    await world.addStore({ zone: "c", host: "5" });
    const before = world.executed.get(1) ?? 0;
    await world.time.pass(120_000);
    for (const { peers } of world.regions.values()) {
      assert.equal(new Set(peers.map((peer) => world.stores.get(peer.storeId)!.labels["zone"])).size, 3);
    }
    // Two peers of each region had to move.
    assert.ok((world.executed.get(1) ?? 0) - before <= 9 * 2 + 6, `${world.executed.get(1)} moves`);
    assert.ok(world.isHealthy());
    await assertQuiet(world);
  });

  it("adds and removes voters when the wanted number changes", async () => {
    const { world } = await startCluster({ stores: 5, regions: 6 });
    for (const replicas of [5, 1, 3]) {
      const config = { ...emptyConfig, replicas };
      await world.leading.setConfig(config);
      await world.time.pass(120_000);
      assert.ok(world.isHealthy(replicas), `${replicas} replicas`);
    }
    await assertQuiet(world);
  });

  it("knows everything again after a restart of PD", async () => {
    const { world, stores } = await startCluster({ stores: 4, regions: 12, settings: { operationLimit: 1 } });
    await drainStore(world.leading, storeRequest(stores[3]!));
    await world.time.pass(500);
    await world.restartPd();
    assert.equal(world.leading.cluster.regions.size, 12);
    assert.equal(info(world, stores[3]!).store!.state, 3);
    await world.time.pass(120_000);
    assert.equal(info(world, stores[3]!).store!.state, 4);
    assert.ok(world.isHealthy());
  });
});

const emptyConfig = {
  ...{
    replicas: null,
    repair: null,
    regionMaxBytes: null,
    regionMaxKeys: null,
    maxDownTimeMs: null,
    disconnectedAfterMs: null,
    logLevel: null,
  },
  ...{ operationLimit: null, schedulingPaused: null, leaderBalanceLimit: null, regionBalanceLimit: null },
};
