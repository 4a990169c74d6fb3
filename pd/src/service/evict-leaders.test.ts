import { strict as assert } from "node:assert";
import { MIB, VirtualCluster, type VirtualStore } from "../testing/virtual-cluster.js";
import { evictLeaders, getStores } from "./stores-api.js";

const header = { clusterId: 1 };
const REGIONS = 12;

async function startCluster(): Promise<{ world: VirtualCluster; store: VirtualStore }> {
  const world = new VirtualCluster();
  const store = await world.addStore();
  await world.bootstrap(store);
  await world.addStore();
  await world.addStore();
  await world.time.pass(3000);
  await world.presplit(REGIONS, MIB);
  await world.time.pass(60_000);
  assert.ok(world.leadersOn(store.storeId) > 0);
  return { world, store };
}

const evict = (world: VirtualCluster, { storeId }: VirtualStore, ttlMs: number, release = false) =>
  evictLeaders(world.leading, { header, storeId, ttlMs, release, origin: "operator" });
const msLeft = (world: VirtualCluster, { storeId }: VirtualStore) =>
  getStores(world.leading, { header, includeTombstones: false }).stores?.find(({ store }) => store?.storeId === storeId)
    ?.evictLeadersMsLeft;

describe("a lease under which leaders leave a store", () => {
  it("empties the store of leaders, keeps its followers, and ends by itself", async () => {
    const { world, store } = await startCluster();
    evict(world, store, 30_000);
    await world.time.pass(10_000);
    assert.equal(world.leadersOn(store.storeId), 0);
    assert.equal(world.peersOn(store.storeId), REGIONS);
    assert.equal(msLeft(world, store), 20_000);
    await world.time.pass(19_000);
    assert.equal(world.leadersOn(store.storeId), 0, "no leader comes while it holds");
    await world.time.pass(31_000);
    assert.equal(msLeft(world, store), 0);
    assert.ok(world.leadersOn(store.storeId) > 0, "leaders come back when it is over");
    assert.equal(world.peersOn(store.storeId), REGIONS);
  });

  it("holds for as long as it is renewed", async () => {
    const { world, store } = await startCluster();
    for (let i = 0; i < 12; i++) {
      evict(world, store, 30_000);
      await world.time.pass(10_000);
      assert.equal(world.leadersOn(store.storeId), 0);
    }
  });

  it("ends at once when it is released", async () => {
    const { world, store } = await startCluster();
    evict(world, store, 3_600_000);
    await world.time.pass(10_000);
    assert.equal(world.leadersOn(store.storeId), 0);
    evict(world, store, 0, true);
    assert.equal(msLeft(world, store), 0);
    await world.time.pass(30_000);
    assert.ok(world.leadersOn(store.storeId) > 0);
  });

  it("takes a leader away again that an election brought there, also of a store that restarts", async () => {
    const { world, store } = await startCluster();
    evict(world, store, 3_600_000);
    await world.time.pass(10_000);
    const [other] = [...world.stores.values()].filter((one) => one !== store);
    assert.ok(other !== undefined);
    world.kill(other);
    await world.time.pass(3000);
    await world.restart(other);
    await world.time.pass(20_000);
    assert.equal(world.leadersOn(store.storeId), 0);
    world.kill(store);
    await world.time.pass(3000);
    await world.restart(store);
    await world.time.pass(20_000);
    assert.equal(world.leadersOn(store.storeId), 0, "it is the store's, not the process's");
    assert.equal(world.peersOn(store.storeId), REGIONS);
  });

  it("is forgotten by the next leader of PD until its holder renews it", async () => {
    const { world, store } = await startCluster();
    evict(world, store, 3_600_000);
    await world.time.pass(10_000);
    await world.restartPd();
    assert.equal(msLeft(world, store), 0);
    evict(world, store, 30_000);
    await world.time.pass(5_000);
    assert.equal(world.leadersOn(store.storeId), 0);
  });

  it("is refused for a time beyond an hour", async () => {
    const { world, store } = await startCluster();
    assert.throws(() => evict(world, store, 3_600_001), { code: "INVALID_ARGUMENT" });
  });
});
