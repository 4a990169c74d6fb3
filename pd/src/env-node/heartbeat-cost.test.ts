import { strict as assert } from "node:assert";
import { nodeClock } from "@rhea/common/env-node";
import { StoreToPd } from "@rhea/proto";
import { VirtualCluster } from "../testing/virtual-cluster.js";
import { reportOf } from "../testing/virtual-region.js";

const REGIONS = 2000;
const ROUNDS = 10;
const GOAL_US = 20;

describe("cost of a region heartbeat", () => {
  it(`stays near ${GOAL_US} us with ${REGIONS} regions`, async function () {
    this.timeout(60_000);
    const world = new VirtualCluster({ regionBalanceLimit: 0, leaderBalanceLimit: 0 });
    const first = await world.addStore();
    await world.bootstrap(first);
    await world.addStore();
    await world.addStore();
    await world.time.pass(3000);
    await world.presplit(REGIONS, 1000);
    await world.time.settle();
    const bytes = [...world.regions.values()].map((region) => {
      const stats = reportOf(region, () => true);
      return {
        storeId: stats.leader!.storeId!,
        bytes: StoreToPd.encode({ regions: [stats] }).finish(),
      };
    });
    let best = Infinity;
    for (let round = 0; round < ROUNDS; round++) {
      const startMs = nodeClock.monotonicMs();
      for (const { storeId, bytes: message } of bytes) world.leading.onMessage(storeId, StoreToPd.decode(message));
      best = Math.min(best, ((nodeClock.monotonicMs() - startMs) * 1000) / bytes.length);
    }
    console.log(`      region heartbeat: ${best.toFixed(1)} us with decoding (goal ${GOAL_US} us)`);
    assert.equal(world.leading.counters.refused, 0);
    // Five times the goal: this machine may be busy with other tests.
    assert.ok(best < 5 * GOAL_US);
  });
});
