import assert from "node:assert/strict";
import type { AutoscaleDemand, DesiredCluster } from "../api/resolve.js";
import type { AutoscaleMemory, Observed } from "./observed.js";
import { KILLED, NOW, actionsOf, observed, pdStore, record, region, view, wanted } from "./plan-fixture.js";
import { plan, type Plan } from "./plan.js";

const AUTOSCALE: AutoscaleDemand = {
  ...{ minReplicas: 3, maxReplicas: 6, targetRegionsPerStore: 10, scaleInDelayMs: 60_000, cooldownMs: 30_000 },
  ...{ maxStep: 1, mode: "Auto" },
};

function scaled(change: Partial<AutoscaleDemand> = {}, more: Partial<DesiredCluster> = {}): DesiredCluster {
  return wanted({ autoscale: { ...AUTOSCALE, ...change }, ...more });
}

/** Stores that serve, and regions of three peers each. */
function cluster(stores: number, regions: number, autoscale?: AutoscaleMemory): Observed {
  const ordinals = Array.from({ length: stores }, (_, i) => i);
  return observed({
    stores: ordinals.map((i) => record(i)),
    nextOrdinal: stores,
    view: view({
      stores: ordinals.map((i) => pdStore(i)),
      regions: Array.from({ length: regions }, (_, i) => region(5 + i, [0, 1, 2])),
    }),
    ...(autoscale === undefined ? {} : { autoscale }),
  });
}

const messageOf = ({ status }: Plan) => status.autoscale?.message ?? "";

describe("autoscaling", () => {
  it("begins with the stores that are there, not with spec", () => {
    assert.deepEqual(actionsOf(cluster(4, 12), scaled({}, { storeReplicas: 3 })), []);
    assert.equal(plan(cluster(4, 12), scaled(), NOW).autoscale?.wanted, 4);
  });

  it("adds a store when there are more regions per store than the target, in steps, up to the maximum", () => {
    assert.deepEqual(actionsOf(cluster(3, 10), scaled()), []);
    assert.deepEqual(actionsOf(cluster(3, 11), scaled()), ["add demo-store-3"]);
    const decided = plan(cluster(3, 11), scaled(), NOW);
    assert.deepEqual(decided.autoscale, { wanted: 4, lastScaleMs: NOW });
    const wide = scaled({ maxStep: 3 }, { maxParallelScaleOut: 3 });
    assert.equal(plan(cluster(3, 20), wide, NOW).autoscale?.wanted, 6);
    assert.match(messageOf(plan(cluster(6, 30), scaled(), NOW)), /maxReplicas is reached/);
  });

  it("holds the number that it decided, also while the store is still to come or another one dies", () => {
    const memory = { wanted: 4, lastScaleMs: NOW - 1_000 };
    assert.deepEqual(actionsOf(cluster(3, 11, memory), scaled()), ["add demo-store-3"]);
    const lost = cluster(4, 13, memory);
    const stores = [...lost.stores.slice(0, 3), record(3, { process: KILLED, directory: "missing" })];
    const decided = plan({ ...lost, stores }, scaled(), NOW);
    assert.equal(decided.autoscale?.wanted, 4);
    assert.match(messageOf(decided), /stands aside: demo-store-3 does not serve/);
  });

  it("waits for the cool-down", () => {
    const seen = (agoMs: number) => cluster(4, 14, { wanted: 4, lastScaleMs: NOW - agoMs });
    assert.deepEqual(actionsOf(seen(29_000), scaled()), []);
    assert.match(messageOf(plan(seen(29_000), scaled(), NOW)), /waits for the cool-down/);
    assert.deepEqual(actionsOf(seen(30_000), scaled()), ["add demo-store-4"]);
  });

  it("takes a store away only after the load was low for long, and only where four fifths of the target hold", () => {
    const low = (lowSinceMs: number) => ({ wanted: 4, lowSinceMs });
    assert.equal(plan(cluster(4, 8), scaled(), NOW).autoscale?.lowSinceMs, NOW);
    assert.equal(plan(cluster(4, 9), scaled(), NOW).autoscale?.lowSinceMs, undefined);
    assert.deepEqual(actionsOf(cluster(4, 8, low(NOW - 59_000)), scaled()), []);
    assert.deepEqual(actionsOf(cluster(4, 8, low(NOW - 60_000)), scaled()), ["drain demo-store-3"]);
    assert.equal(plan(cluster(4, 9, low(NOW - 60_000)), scaled(), NOW).autoscale?.lowSinceMs, undefined);
    assert.deepEqual(actionsOf(cluster(3, 1, { wanted: 3, lowSinceMs: 0 }), scaled()), []);
  });

  it("does not swing: after a step neither the other step nor the next is due", () => {
    for (let regions = 1; regions <= 20; regions++) {
      const start = cluster(4, regions, { wanted: 4, lowSinceMs: 0 });
      const next = plan(start, scaled(), NOW).autoscale?.wanted ?? 0;
      if (next === 4) continue;
      const later = cluster(next, regions, { wanted: next });
      const after = plan(later, scaled(), NOW).autoscale?.wanted ?? 0;
      assert.ok(Math.sign(after - next) !== Math.sign(4 - next), `${regions} regions: 4 -> ${next} -> ${after}`);
    }
  });

  it("only says what it would do in mode Plan", () => {
    const decided = plan(cluster(3, 11), scaled({ mode: "Plan" }), NOW);
    assert.deepEqual(decided.actions, []);
    assert.match(messageOf(decided), /4 stores are wanted; .*nothing is done/);
  });

  it("forgets nothing and changes nothing while the cluster is paused", () => {
    const memory = { wanted: 3, lastScaleMs: 5 };
    assert.deepEqual(plan(cluster(3, 11, memory), scaled({}, { mode: "Paused" }), NOW).autoscale, memory);
  });

  it("returns to spec when it is turned off", () => {
    assert.deepEqual(actionsOf(cluster(5, 4, { wanted: 5 }), wanted()), ["drain demo-store-4"]);
    assert.equal(plan(cluster(5, 4), wanted(), NOW).autoscale, undefined);
  });

  it("keeps within its limits", () => {
    assert.equal(plan(cluster(3, 1), scaled({ minReplicas: 5 }), NOW).autoscale?.wanted, 5);
    assert.equal(plan(cluster(6, 1), scaled({ maxReplicas: 4 }), NOW).autoscale?.wanted, 4);
  });
});
