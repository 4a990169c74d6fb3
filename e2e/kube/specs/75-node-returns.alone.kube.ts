/** A node that comes back while its store is being replaced: there is one store too many, and the one with the least data goes. */
import assert from "node:assert/strict";
import {
  checksum,
  hasNodeControl,
  needsNodes,
  nodeOf,
  note,
  scaleOperator,
  startNode,
  stopNode,
  timed,
  useLane,
  type RheaClusterObject,
} from "../harness/index.js";

const DEAD_AFTER_S = 20;
const KEYS = 6_000;
const MIN_REGIONS = 25;

describe("a node that comes back half-way", () => {
  const lane = useLane({ operator: true });
  const demo = () => lane.rheaCluster("demo");
  const storesOf = (cluster: RheaClusterObject) => cluster.status?.stores ?? [];
  const namesOf = (cluster: RheaClusterObject) => storesOf(cluster).map(({ name }) => name);

  before(async function () {
    needsNodes(this);
    await scaleOperator(2);
  });
  after(async function () {
    this.timeout(60_000);
    if (hasNodeControl) await scaleOperator(1);
  });

  it("keeps three stores, of the spare and the one that returned the one with more regions, and loses nothing", async () => {
    await demo().apply({
      pd: { replicas: 3, storage: { size: "1Gi" } },
      stores: { replicas: 3, storage: { size: "1Gi" } },
      failover: { deadAfterSeconds: DEAD_AFTER_S },
      // Many regions, replaced one at a time, so that there is a half-way.
      regions: { replicas: 3, maxKeys: 200 },
      config: { schedule: { operationLimit: 1 } },
    });
    await demo().untilReady(120_000);
    const client = await demo().connect();
    for (let from = 0; from < KEYS; from += 100) {
      const keys = Array.from({ length: 100 }, (_, i) => `data/${String(from + i).padStart(5, "0")}`);
      await Promise.all(keys.map((key) => client.put(key, `value of ${key}`)));
    }
    const split = await demo().until(
      `${MIN_REGIONS} regions`,
      (c) => (c.status?.regions?.total ?? 0) >= MIN_REGIONS,
      120_000,
    );
    const before = await checksum(client, { start: "data/", end: "data0" });
    const names = namesOf(split).sort();
    const pods = await demo().pods("store");
    assert.equal(new Set(pods.map(nodeOf)).size, 3, "one store a node");
    const victim = pods[0] ?? assert.fail("no pod");
    const node = nodeOf(victim);

    await stopNode(node);
    const halfWay = await demo().until(
      "a spare has taken over some regions, not all",
      (c) => {
        const spare = storesOf(c).find(({ name }) => !names.includes(name));
        return spare?.state === "Up" && (spare.regions ?? 0) >= 2;
      },
      180_000,
    );
    const spare = storesOf(halfWay).find(({ name }) => !names.includes(name)) ?? assert.fail("no spare");
    const { seconds } = await timed(async () => {
      await startNode(node);
      await demo().until(
        "three stores, all up",
        (c) => storesOf(c).length === 3 && storesOf(c).every(({ state }) => state === "Up"),
        240_000,
      );
      await demo().untilReady(120_000);
    });
    note(
      `node back with ${spare.regions ?? 0} of ${split.status?.regions?.total ?? 0} regions replaced, to Ready`,
      `${seconds} s`,
    );
    assert.deepEqual(await checksum(client, { start: "data/", end: "data0" }), before);
    // How far the replacement had come when the node was back decides: the store with fewer regions is drained.
    const left = (await demo().stores()).map(({ metadata }) => metadata.name);
    const kept = left.filter((name) => names.includes(name));
    assert.ok(kept.length === 3 || (kept.length === 2 && left.includes(spare.name)), `left: ${String(left)}`);
    note("drained", kept.length === 3 ? "the spare" : "the store that returned");
  });
});
