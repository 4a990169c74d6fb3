import { strict as assert } from "node:assert";
import { MIB, VirtualCluster, type VirtualStore } from "../testing/virtual-cluster.js";
import { cancelOperation, listOperations } from "./operations-api.js";
import { cancelDrain, drainStore, removeStore } from "./stores-api.js";

const header = { clusterId: 1 };
const requestFor = ({ storeId }: VirtualStore, force = false) => ({ header, storeId, origin: "user", force });
const lifecycleOf = (world: VirtualCluster, { storeId }: VirtualStore) =>
  world.leading.cluster.stores.get(storeId)?.lifecycle;

async function startCluster(count: number) {
  const world = new VirtualCluster({ leaderBalanceLimit: 0, regionBalanceLimit: 0 });
  const stores: VirtualStore[] = [await world.addStore()];
  await world.bootstrap(stores[0]!, 20 * MIB);
  while (stores.length < count) stores.push(await world.addStore());
  await world.time.pass(10_000);
  return { world, stores };
}

/** Brings time to where the step that adds the first peer on a new store is on its way. */
async function addWhileJoining(world: VirtualCluster): Promise<VirtualStore> {
  const store = await world.addStore();
  await world.time.pass(1);
  assert.equal(world.leading.operations.influence(store.storeId).incoming, 1);
  return store;
}

describe("the life of a store", () => {
  it("does not end while a step that adds a peer is under way", async () => {
    const { world } = await startCluster(2);
    const store = await addWhileJoining(world);
    await drainStore(world.leading, requestFor(store));
    world.leading.tick();
    await world.time.settle();
    assert.equal(lifecycleOf(world, store), "draining");
    await assert.rejects(removeStore(world.leading, requestFor(store, true)), /may still be under way/);
  });

  it("does not end while a step of a cancelled operation may still add a peer", async () => {
    const { world } = await startCluster(2);
    const store = await addWhileJoining(world);
    await drainStore(world.leading, requestFor(store));
    const { operations = [] } = listOperations(world.leading, {
      ...{ header, includeFinished: false, regionId: 0, operationId: 0, limit: 0 },
    });
    cancelOperation(world.leading, { header, operationId: operations[0]!.operationId!, origin: "user" });
    world.leading.tick();
    await world.time.settle();
    assert.equal(lifecycleOf(world, store), "draining");
    await world.time.pass(60_000);
    assert.equal(lifecycleOf(world, store), "tombstone");
    assert.equal(world.peersOn(store.storeId), 0);
  });

  it("does not end by what an earlier PD wrote down: every region must have been reported first", async () => {
    const { world, stores } = await startCluster(4);
    const [region] = world.regions.values();
    const draining = stores.find(({ storeId }) => region!.peers.every((peer) => peer.storeId !== storeId))!;
    const key = [...world.metadata.keys()].find((each) => each.startsWith("region/"))!;
    const before = world.metadata.get(key)!;
    region!.peers.push({ peerId: 900, storeId: draining.storeId, role: 1 });
    region!.confVer++;
    world.report(region!);
    await drainStore(world.leading, requestFor(draining));
    await world.time.settle();
    for (const store of stores) world.kill(store);
    await world.pd.close();
    world.metadata.set(key, before); // the change was not durable when PD crashed
    await world.restartPd();
    world.leading.tick();
    await world.time.settle();
    assert.equal(lifecycleOf(world, draining), "draining");
    await assert.rejects(removeStore(world.leading, requestFor(draining)), /1 of 1 regions have not been reported/);
  });

  it("goes on when its drain was cancelled just before it ended", async () => {
    const { world, stores } = await startCluster(4);
    const empty = stores.find(({ storeId }) => world.peersOn(storeId) === 0)!;
    await drainStore(world.leading, requestFor(empty));
    const cancelled = cancelDrain(world.leading, requestFor(empty));
    world.leading.tick();
    await cancelled;
    await world.time.pass(5000);
    assert.equal(lifecycleOf(world, empty), "up");
    await world.restartPd();
    assert.equal(lifecycleOf(world, empty), "up");
  });

  it("keeps a drain that was asked for while the store registered anew, over a restart of PD", async () => {
    const { world, stores } = await startCluster(3);
    const store = stores[2]!;
    const known = world.leading.cluster.stores.get(store.storeId)!;
    const drained = drainStore(world.leading, requestFor(store));
    await world.leading.putStore({ ...known, incarnation: 2, bootNonce: "02" });
    await drained;
    store.incarnation = 2;
    for (const each of stores) world.kill(each);
    await world.restartPd();
    assert.equal(lifecycleOf(world, store), "draining");
  });
});
