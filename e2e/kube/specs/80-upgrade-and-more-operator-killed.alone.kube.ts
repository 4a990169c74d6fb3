/** The stories once more while the operator is killed again and again. */
import assert from "node:assert/strict";
import {
  checksum,
  needsNodes,
  image,
  nodeOf,
  note,
  previousImage,
  startLoad,
  startNode,
  startOperatorKiller,
  stopNode,
  timed,
  until,
  useLane,
  type Pod,
  type RheaClusterObject,
} from "../harness/index.js";

describe("operator killed every 30 s", () => {
  const lane = useLane({ operator: true });
  const demo = () => lane.rheaCluster("demo");
  const spec = (replicas = 3, more: object = {}) => ({
    image: image(),
    pd: { replicas: 3, storage: { size: "1Gi" } },
    stores: { replicas, storage: { size: "1Gi" } },
    failover: { deadAfterSeconds: 20 },
    ...more,
  });
  const up = (c: RheaClusterObject) => c.status?.stores?.filter(({ state }) => state === "Up").length ?? 0;
  let killer: ReturnType<typeof startOperatorKiller>;

  before(() => {
    killer = startOperatorKiller({ everyMs: 30_000 });
  });
  after(async function () {
    this.timeout(120_000);
    note("operator killed", `${await killer.stop()} times`);
  });

  it("apply, 3 -> 5 -> 3", async () => {
    const { seconds } = await timed(async () => {
      await demo().apply(spec());
      await demo().untilReady(180_000);
    });
    note("apply to Ready", `${seconds} s`);
    const client = await demo().connect();
    for (let at = 0; at < 100; at++) await client.put(`data/${at}`, `${at}`);
    const before = await checksum(client, { start: "data/", end: "data0" });
    await demo().apply(spec(5));
    await demo().until("five stores are up", (c) => up(c) === 5, 180_000);
    await demo().apply(spec(3));
    await demo().until("three are left", (c) => (c.status?.stores ?? []).length === 3 && up(c) === 3, 240_000);
    await demo().untilReady(120_000);
    assert.deepEqual(await checksum(client, { start: "data/", end: "data0" }), before);
  });

  it("a change that is reverted half-way, under load", async () => {
    const load = await startLoad(await demo().connect(), { writers: 2, pauseMs: 20 });
    await demo().apply(spec(3, { config: { raft: { electionTicks: 9 } } }));
    const hasChanged = ({ spec: { containers } }: Pod) => JSON.stringify(containers).includes("election-ticks=9");
    await until("the first store has changed", async () => (await demo().pods("store")).some(hasChanged), 180_000);
    await demo().apply(spec());
    await demo().untilReady(240_000);
    assert.ok(!(await demo().pods("store")).some(hasChanged));
    const seen = await load.stop();
    assert.equal(seen.failed, 0, JSON.stringify(seen.errors));
  });

  it("back to the commit before, and the rolling upgrade to this one under load: no operation fails", async function () {
    const before = previousImage(this);
    const runs = async (wanted: string) =>
      (await demo().pods()).every(({ spec: { containers } }) => containers[0]?.image === wanted);
    await demo().apply(spec(3, { image: before }));
    await until("every pod runs the image before", () => runs(before), 240_000);
    await demo().untilReady(120_000);
    const load = await startLoad(await demo().connect(), { writers: 2, pauseMs: 20, prefix: "rolling/" });
    const { seconds } = await timed(async () => {
      await demo().apply(spec());
      await until("every pod runs this image", () => runs(image()), 300_000);
      await demo().untilReady(120_000);
    });
    const seen = await load.stop();
    note(
      "rolling upgrade",
      `${seconds} s, ${seen.ok} operations, ${seen.failed} failed, longest pause ${seen.maxPauseMs} ms`,
    );
    assert.equal(seen.failed, 0, JSON.stringify(seen.errors));
  });

  it("a dead node", async function () {
    needsNodes(this);
    const node = nodeOf((await demo().pods("store")).at(-1));
    const { seconds } = await timed(async () => {
      await stopNode(node);
      await demo().until("it is noticed", (c) => up(c) < 3, 90_000);
      await demo().until(
        "every region is whole",
        (c) => up(c) >= 3 && c.status?.regions?.underReplicated === 0,
        240_000,
      );
    });
    note("dead node to full health", `${seconds} s (deadAfterSeconds 20)`);
    await startNode(node);
    await demo().until("three stores, all up", (c) => (c.status?.stores ?? []).length === 3 && up(c) === 3, 300_000);
    await demo().untilReady(120_000);
  });
});
