import assert from "node:assert/strict";
import fc from "fast-check";
import type { DesiredCluster } from "../api/resolve.js";
import { describeStep } from "./action.js";
import { wanted } from "./plan-fixture.js";
import { plan } from "./plan.js";
import { SimulatedPlatform } from "./simulated-platform.js";

const FAULT_TICKS = 120;
const SETTLE_TICKS = 240;

/** Runs one seed: faults and edits for two minutes, then quiet; the cluster must settle as it is wanted. */
function run(seed: number): void {
  const random = mulberry(seed);
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
  const platform = new SimulatedPlatform(random);
  let desired: DesiredCluster = wanted({ deadAfterMs: 20_000 });
  const history: string[] = [];

  const turn = () => {
    const { actions } = plan(platform.observe(), desired, platform.nowMs);
    for (const action of actions) {
      history.push(`${platform.nowMs / 1000} s: ${describeStep(action)}`);
      platform.execute(action, desired);
    }
    platform.tick();
    return actions.length;
  };
  const disturb = () => {
    const roll = random();
    const victim = pick(platform.live());
    // A second loss before the first is healed may cost a quorum, which no plan can bring back.
    if (roll < 0.04) desired = { ...desired, storeReplicas: 3 + Math.floor(random() * 4) };
    else if (roll < 0.1 && victim !== undefined) platform.kill(victim.name);
    else if (roll < 0.14 && victim !== undefined && platform.isHealthy()) platform.loseDisk(victim.name);
    else if (roll < 0.16) platform.isPdRunning = false;
    else return;
    history.push(
      `${platform.nowMs / 1000} s: -- ${roll < 0.04 ? `wanted ${desired.storeReplicas}` : `fault ${roll.toFixed(2)} ${victim?.name ?? ""}`}`,
    );
  };
  try {
    for (let tick = 0; tick < FAULT_TICKS; tick++) {
      disturb();
      turn();
    }
    let quiet = 0;
    for (let tick = 0; tick < SETTLE_TICKS && quiet < 30; tick++) quiet = turn() === 0 ? quiet + 1 : 0;
    assert.equal(quiet, 30, "the plan does not come to rest");
    assert.equal(platform.live().length, desired.storeReplicas, "stores that serve");
    const live = new Set(platform.live().map(({ storeId }) => storeId));
    for (const { regionId, voters } of platform.regions) {
      assert.equal([...voters].filter((id) => live.has(id)).length, 3, `live voters of region ${regionId}`);
      assert.equal(voters.size, 3, `voters of region ${regionId}`);
    }
    const left = platform.stores.filter(({ hasRecord }) => hasRecord).length;
    assert.equal(left, desired.storeReplicas, "records of stores");
    const ready = plan(platform.observe(), desired, platform.nowMs).status.conditions.find(
      ({ type }) => type === "Ready",
    );
    assert.equal(ready?.status, "True");
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${history.slice(-40).join("\n")}`, { cause: error });
  }
}

function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe("plan on a simulated platform", () => {
  it("keeps every region safe through faults and edits, and settles as wanted", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => run(seed)),
      { numRuns: 100, endOnFailure: true },
    );
  });
});
