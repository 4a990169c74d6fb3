/** Nodes that are lost, cut off, drained. */
import assert from "node:assert/strict";
import {
  checksum,
  hasNodeControl,
  healNode,
  needsNodes,
  nodeOf,
  note,
  partitionNode,
  scaleOperator,
  startLoad,
  startNode,
  stopNode,
  timed,
  until,
  useLane,
  type Pod,
  type RheaClusterObject,
} from "../harness/index.js";

const DEAD_AFTER_S = 30;

describe("nodes", () => {
  const lane = useLane({ operator: true });
  const demo = () => lane.rheaCluster("demo");
  const spec = {
    pd: { replicas: 3, storage: { size: "1Gi" } },
    stores: { replicas: 3, storage: { size: "1Gi" } },
    failover: { deadAfterSeconds: DEAD_AFTER_S },
  };
  const up = (c: RheaClusterObject) => c.status?.stores?.filter(({ state }) => state === "Up").length ?? 0;
  const isWhole = (c: RheaClusterObject) => up(c) >= 3 && c.status?.regions?.underReplicated === 0;
  /** A node with one store: on a node that had two of three, its loss would be the loss of the quorum. */
  const victimNode = async () => {
    const nodes = (await demo().pods("store")).map(nodeOf);
    return (
      nodes.find((node) => nodes.filter((other) => other === node).length === 1) ??
      assert.fail(`stores on ${String(nodes)}`)
    );
  };

  before(async function () {
    needsNodes(this);
    // The node that is lost may be the operator's: two of them, and the other takes over.
    await scaleOperator(2);
  });
  after(async function () {
    this.timeout(60_000);
    if (hasNodeControl) await scaleOperator(1);
  });

  it("spreads members and stores over the nodes", async () => {
    await demo().apply(spec);
    await demo().untilReady(120_000);
    for (const component of ["pd", "store"] as const) {
      const nodes = new Set((await demo().pods(component)).map(nodeOf));
      assert.equal(nodes.size, 3, component);
    }
    const client = await demo().connect();
    for (let at = 0; at < 100; at++) await client.put(`data/${at}`, `${at}`);
  });

  it("a dead node: a replacement heals every region; the node comes back: three stores and members, all well", async () => {
    const client = await demo().connect();
    const before = await checksum(client, { start: "data/", end: "data0" });
    const node = await victimNode();
    const load = await startLoad(client, { writers: 2, pauseMs: 50 });
    const dead = await timed(async () => {
      await stopNode(node);
      await demo().until("it is noticed", (c) => up(c) < 3, 90_000);
      await demo().until("three stores are up and every region is whole", isWhole, 180_000);
    });
    note("dead node to full health", `${dead.seconds} s (deadAfterSeconds ${DEAD_AFTER_S})`);
    assert.ok(Number(dead.seconds) < DEAD_AFTER_S + 60, `it took ${dead.seconds} s`);
    const back = await timed(async () => {
      await startNode(node);
      await demo().until("three stores, all up", (c) => (c.status?.stores ?? []).length === 3 && up(c) === 3, 240_000);
      await demo().untilReady(120_000);
    });
    note("node back to Ready", `${back.seconds} s`);
    const seen = await load.stop();
    note(
      "load over the loss of a node",
      `${seen.ok} operations, ${seen.failed} failed, longest pause ${seen.maxPauseMs} ms`,
    );
    assert.deepEqual(await checksum(client, { start: "data/", end: "data0" }), before);
  });

  it("a node that is cut off for a while: nothing is lost, and the cluster is whole afterwards", async () => {
    const node = await victimNode();
    const load = await startLoad(await demo().connect(), { writers: 2, pauseMs: 50, prefix: "cut/" });
    await partitionNode(node);
    await demo().until("it is noticed", (c) => up(c) < 3, 90_000);
    await healNode(node);
    const { seconds } = await timed(async () => {
      await demo().until("three stores, all up", (c) => (c.status?.stores ?? []).length === 3 && up(c) === 3, 180_000);
      await demo().untilReady(120_000);
    });
    note("partition healed to Ready", `${seconds} s`);
    const seen = await load.stop();
    assert.equal(seen.failed, 0, JSON.stringify(seen.errors));
    note("load over a partition", `${seen.ok} operations, ${seen.failed} failed, longest pause ${seen.maxPauseMs} ms`);
  });

  it("kubectl drain of a node goes through, one store at a time, and uncordon brings everything back", async () => {
    const node = await victimNode();
    const load = await startLoad(await demo().connect(), { writers: 2, pauseMs: 50, prefix: "drain/" });
    const { seconds } = await timed(() =>
      lane.kubectl(
        [
          "drain",
          `node-${node}`,
          "--ignore-daemonsets",
          "--delete-emptydir-data",
          "--timeout=120s",
          `--pod-selector=rheakv.io/cluster=demo`,
        ],
        { timeoutMs: 130_000 },
      ),
    );
    note("kubectl drain", `${seconds} s`);
    await lane.kubectl(["uncordon", `node-${node}`]);
    await demo().untilReady(120_000);
    await until(
      "all pods run",
      async () =>
        (await lane.list<Pod>("Pod", "rheakv.io/cluster=demo")).every(({ status }) => status?.phase === "Running"),
      60_000,
    );
    const seen = await load.stop();
    assert.equal(seen.failed, 0, JSON.stringify(seen.errors));
    note("load over a node drain", `${seen.ok} operations, longest pause ${seen.maxPauseMs} ms`);
  });
});
