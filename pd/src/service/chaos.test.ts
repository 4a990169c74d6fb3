import { strict as assert } from "node:assert";
import fc from "fast-check";
import { MIB, VirtualCluster, type VirtualStore } from "../testing/virtual-cluster.js";
import { cancelDrain, drainStore } from "./stores-api.js";

type Event = "kill" | "restart" | "drain" | "cancel" | "grow" | "break" | "restartPd" | "wait";
const EVENTS: readonly Event[] = ["kill", "restart", "drain", "cancel", "grow", "break", "restartPd", "wait", "wait"];
const STORES = 6;
const REPLICAS = 3;

/** Does one thing that operators and machines do to a cluster, unless it would take a majority away for good. */
async function disturb(
  world: VirtualCluster,
  stores: readonly VirtualStore[],
  event: Event,
  pick: number,
): Promise<void> {
  const { cluster } = world.leading;
  const lifecycle = (store: VirtualStore) => cluster.stores.get(store.storeId)!.lifecycle;
  const present = stores.filter((store) => lifecycle(store) !== "tombstone");
  const store = present[pick % present.length]!;
  const request = { header: { clusterId: 1 }, storeId: store.storeId, origin: "user", force: false };
  const staying = present.filter((other) => other.isAlive && lifecycle(other) === "up");
  switch (event) {
    case "kill":
      if (store.isAlive && present.filter((other) => !other.isAlive).length < 2) world.kill(store);
      return;
    case "restart":
      if (!store.isAlive) await world.restart(store);
      return;
    case "drain":
      if (staying.length > REPLICAS + 1) await drainStore(world.leading, request);
      return;
    case "cancel":
      await cancelDrain(world.leading, request);
      return;
    case "grow": {
      const region = [...world.regions.values()][pick % world.regions.size]!;
      if (world.regions.size < 40) region.size += 60 * MIB;
      world.report(region);
      return;
    }
    case "break": {
      const regions = [...world.regions.values()];
      world.breakFollower(regions[pick % regions.length]!, pick);
      return;
    }
    case "restartPd":
      return world.restartPd();
    case "wait":
      return;
  }
}

describe("virtual cluster under disturbance", () => {
  it("never loses a majority, and settles into full health and rest", async function () {
    this.timeout(60_000);
    const event = fc.tuple(fc.constantFrom(...EVENTS), fc.nat(1000), fc.integer({ min: 10, max: 20_000 }));
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 5, maxLength: 25 }), async (events) => {
        const world = new VirtualCluster({ maxDownTimeMs: 30_000 });
        const stores: VirtualStore[] = [await world.addStore()];
        await world.bootstrap(stores[0]!);
        while (stores.length < STORES) stores.push(await world.addStore());
        await world.time.pass(3000);
        await world.presplit(8, 20 * MIB);
        for (const [kind, pick, ms] of events) {
          await disturb(world, stores, kind, pick);
          await world.time.pass(ms);
        }
        const states = () => world.leading.cluster.stores;
        for (const store of stores) {
          if (!store.isAlive && states().get(store.storeId)!.lifecycle !== "tombstone") await world.restart(store);
        }
        await world.time.pass(400_000);
        assert.ok(world.isHealthy(REPLICAS), "full health");
        assert.equal(world.leading.cluster.regions.size, world.regions.size);
        assert.equal(world.leading.cluster.regions.findHole(), undefined);
        for (const store of stores) {
          const { lifecycle } = states().get(store.storeId)!;
          assert.notEqual(lifecycle, "draining", `store ${store.storeId}`);
          if (lifecycle === "tombstone") assert.equal(world.peersOn(store.storeId), 0);
        }
        const before = world.stepCount;
        await world.time.pass(120_000);
        assert.equal(world.stepCount - before, 0, "steps at rest");
      }),
      { numRuns: 12 },
    );
  });
});
