/** Scaling: out and in, taken back half-way, by kubectl scale, by the number of regions. */
import assert from "node:assert/strict";
import { checksum, CommandError, note, startLoad, timed, useLane, type RheaClusterObject } from "../harness/index.js";

const UP = ({ state }: { readonly state?: string }) => state === "Up";
const countUp = (cluster: RheaClusterObject) => cluster.status?.stores?.filter(UP).length ?? 0;
/** One region moves at a time, so that there is a half-way. */
const SLOW = { config: { schedule: { operationLimit: 1 } } };
const names = (cluster: RheaClusterObject) => (cluster.status?.stores ?? []).map(({ name }) => name);

describe("scale", () => {
  const lane = useLane({ operator: true });
  const demo = () => lane.rheaCluster("demo");
  // Small regions, so that there is something to spread.
  const spec = (replicas: number, more: object = {}, autoscale?: object) => ({
    pd: { replicas: 1, storage: { size: "1Gi" } },
    stores: { replicas, storage: { size: "1Gi" }, ...(autoscale === undefined ? {} : { autoscale }) },
    regions: { replicas: 3, maxKeys: 200 },
    ...more,
  });

  it("starts with three stores and data", async () => {
    await demo().apply(spec(3));
    await demo().untilReady(90_000);
    const client = await demo().connect();
    for (let at = 0; at < 2_000; at += 100) {
      await client.putAll(
        Array.from({ length: 100 }, (_, i) => ({ key: `data/${String(at + i).padStart(5, "0")}`, value: `${at + i}` })),
      );
    }
    await demo().until("several regions", (c) => (c.status?.regions?.total ?? 0) >= 8, 90_000);
  });

  it("3 -> 5 -> 3 by kubectl scale under load keeps all data", async () => {
    const client = await demo().connect();
    const before = await checksum(client, { start: "data/", end: "data0" });
    const load = await startLoad(client, { writers: 2, keysPerWriter: 4, pauseMs: 50 });
    const out = await timed(async () => {
      await lane.kubectl(["scale", "rheacluster/demo", "--replicas=5"]);
      await demo().until(
        "five stores are up and have regions",
        (c) => countUp(c) === 5 && (c.status?.stores ?? []).every(({ regions = 0 }) => regions > 0),
        150_000,
      );
    });
    note("3 -> 5, every store with regions", `${out.seconds} s`);
    const back = await timed(async () => {
      await lane.kubectl(["scale", "rheacluster/demo", "--replicas=3"]);
      await demo().until("three stores are left", (c) => names(c).length === 3 && countUp(c) === 3, 180_000);
      await demo().untilReady(60_000);
    });
    note("5 -> 3", `${back.seconds} s`);
    const seen = await load.stop();
    assert.equal(seen.failed, 0, JSON.stringify(seen.errors));
    assert.deepEqual(await checksum(client, { start: "data/", end: "data0" }), before);
    note("longest pause", `${seen.maxPauseMs} ms`);
    const claims = await lane.list("PersistentVolumeClaim", "app.kubernetes.io/component=store");
    assert.equal(claims.length, 3);
  });

  it("a scale-in that is taken back half-way leaves the store where it was", async () => {
    await demo().apply(spec(4, SLOW));
    await demo().until(
      "four stores have regions",
      (c) => countUp(c) === 4 && (c.status?.stores ?? []).every(({ regions = 0 }) => regions > 0),
      120_000,
    );
    await demo().untilReady(60_000);
    const before = names((await demo().get()) ?? assert.fail());
    await demo().apply(spec(3, SLOW));
    const draining = await demo().until(
      "a store drains",
      (c) => c.status?.stores?.some(({ state }) => state === "Draining") === true,
      30_000,
    );
    note("taken back at", JSON.stringify(draining.status?.stores?.find(({ state }) => state === "Draining")));
    await demo().apply(spec(4, SLOW));
    await demo().untilReady(90_000);
    assert.deepEqual(names((await demo().get()) ?? assert.fail()), before);
  });

  it("grows by the number of regions, and shrinks when the target is raised", async () => {
    const grown = await demo().get();
    const regions = grown?.status?.regions?.total ?? 0;
    const target = Math.max(1, Math.floor((regions * 3) / 5) - 1); // five stores would be just too few or just enough
    const autoscale = (targetRegionsPerStore: number) => ({
      minReplicas: 3,
      maxReplicas: 5,
      targetRegionsPerStore,
      scaleInDelaySeconds: 5,
      cooldownSeconds: 1,
    });
    await demo().apply(spec(4, {}, autoscale(target)));
    const out = await timed(() => demo().until("five stores are up", (c) => countUp(c) === 5, 120_000));
    note(`autoscale ${regions} regions, ${target} per store: 4 -> 5`, `${out.seconds} s`);
    await assert.rejects(lane.kubectl(["scale", "rheacluster/demo", "--replicas=3"]), (error) => {
      assert.ok(error instanceof CommandError);
      assert.match(error.message, /autoscale/);
      return true;
    });
    await demo().apply(spec(4, {}, autoscale(10_000)));
    const back = await timed(() =>
      demo().until("three stores are left", (c) => names(c).length === 3 && countUp(c) === 3, 240_000),
    );
    note("autoscale 5 -> 3", `${back.seconds} s`);
    const after = await demo().get();
    assert.equal((after?.spec["stores"] as { replicas: number }).replicas, 4); // spec is the user's
  });
});
