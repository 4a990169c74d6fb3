import { strict as assert } from "node:assert";
import { MIB, VirtualCluster, type VirtualStore } from "../testing/virtual-cluster.js";
import { drainStore, getStores, removeStore, setStoreLabels } from "./stores-api.js";

const header = { clusterId: 1 };

async function setLabels(world: VirtualCluster, storeId: number, labels: Record<string, string>): Promise<void> {
  const done = setStoreLabels(world.leading, { header, storeId, labels, origin: "operator" });
  world.leading.tick();
  await done;
}

const labelsOf = (world: VirtualCluster, { storeId }: VirtualStore) =>
  getStores(world.leading, { header, includeTombstones: true }).stores?.find(({ store }) => store?.storeId === storeId)
    ?.store?.labels;

describe("labels set through PD", () => {
  it("are laid over the store's own and win over them, also when it registers anew and PD restarts", async () => {
    const world = new VirtualCluster();
    const store = await world.addStore({ host: "n1", zone: "told" });
    await setLabels(world, store.storeId, { zone: "a" });
    assert.deepEqual(labelsOf(world, store), { host: "n1", zone: "a" });
    await setLabels(world, store.storeId, { rack: "r1" });
    const all = { host: "n2", zone: "a", rack: "r1" };
    store.labels["host"] = "n2";
    world.kill(store);
    await world.restart(store);
    assert.deepEqual(labelsOf(world, store), all);
    store.isAlive = false;
    await world.restartPd();
    assert.deepEqual(labelsOf(world, store), all, "from what is persisted alone");
  });

  it("uncover the store's own when they are taken away, also after a restart of PD", async () => {
    const world = new VirtualCluster();
    const store = await world.addStore({ zone: "told" });
    await setLabels(world, store.storeId, { zone: "a", rack: "r1" });
    store.isAlive = false;
    await world.restartPd();
    await setLabels(world, store.storeId, { zone: "" });
    assert.deepEqual(labelsOf(world, store), { zone: "told", rack: "r1" });
  });

  it("are not written again when nothing differs", async () => {
    const world = new VirtualCluster();
    const store = await world.addStore();
    let saves = 0;
    const { records } = world.leading;
    const save = records.saveStore.bind(records);
    records.saveStore = (record) => (saves++, save(record));
    await setLabels(world, store.storeId, { zone: "a" });
    await setLabels(world, store.storeId, { zone: "a" });
    assert.equal(saves, 1);
  });

  it("move replicas to where they belong by them", async () => {
    const world = new VirtualCluster();
    const stores = [await world.addStore()];
    await world.bootstrap(stores[0]!);
    while (stores.length < 4) stores.push(await world.addStore());
    await world.time.pass(3000);
    await world.presplit(4, MIB);
    await world.time.pass(60_000);
    const zones = ["a", "a", "b", "c"];
    for (const [i, { storeId }] of stores.entries()) await setLabels(world, storeId, { zone: zones[i] ?? "" });
    await world.time.pass(120_000);
    const zoneOf = new Map(stores.map(({ storeId }, i) => [storeId, zones[i]]));
    for (const { peers } of world.regions.values())
      assert.equal(new Set(peers.map(({ storeId }) => zoneOf.get(storeId))).size, 3);
  });

  it("are refused for stores that are unknown or gone, and without a name", async () => {
    const world = new VirtualCluster();
    const store = await world.addStore();
    await assert.rejects(setLabels(world, 77, { zone: "a" }), { code: "NOT_FOUND" });
    await assert.rejects(setLabels(world, store.storeId, { "": "a" }), { code: "INVALID_ARGUMENT" });
    const request = { header, storeId: store.storeId, origin: "user", force: true };
    await drainStore(world.leading, request);
    await removeStore(world.leading, request);
    await assert.rejects(setLabels(world, store.storeId, { zone: "a" }), { code: "OPERATION_REFUSED" });
  });
});
