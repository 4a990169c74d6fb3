/** Pods, volumes and members that go away by themselves or by hand. */
import assert from "node:assert/strict";
import {
  checksum,
  needsNodes,
  killContainer,
  note,
  startLoad,
  timed,
  until,
  useLane,
  type KubeObject,
  type Pod,
} from "../harness/index.js";

describe("pods", () => {
  const lane = useLane({ operator: true });
  const demo = () => lane.rheaCluster("demo");
  const spec = {
    pd: { replicas: 3, storage: { size: "1Gi" } },
    stores: { replicas: 3, storage: { size: "1Gi" } },
    failover: { deadAfterSeconds: 20 },
  };
  const uidOf = async (kind: "Pod" | "PersistentVolumeClaim", name: string) =>
    (await lane.get<KubeObject>(kind, name))?.metadata.uid;

  it("three members of PD and three stores become Ready", async () => {
    await demo().apply(spec);
    const { seconds } = await timed(() => demo().untilReady(120_000));
    note("apply to Ready with 3 PD members", `${seconds} s`);
    const members = await (await demo().admin()).members();
    assert.deepEqual(
      members.map(({ isVoter, isHealthy }) => isVoter && isHealthy),
      [true, true, true],
    );
    const client = await demo().connect();
    for (let at = 0; at < 100; at++) await client.put(`data/${at}`, `${at}`);
  });

  it("a deleted pod comes back with its data and its id", async () => {
    const before = await demo().stores();
    const [uid, claim] = [
      await uidOf("Pod", "demo-store-1"),
      await uidOf("PersistentVolumeClaim", "data-demo-store-1"),
    ];
    const load = await startLoad(await demo().connect(), { writers: 2, pauseMs: 20 });
    const { seconds } = await timed(async () => {
      await lane.remove("Pod", "demo-store-1");
      await until(
        "another pod runs",
        async () => {
          const now = await uidOf("Pod", "demo-store-1");
          return now !== undefined && now !== uid;
        },
        60_000,
      );
      await demo().untilReady(60_000);
    });
    const seen = await load.stop();
    note("pod deleted to Ready", `${seconds} s, longest pause ${seen.maxPauseMs} ms`);
    assert.equal(seen.failed, 0, JSON.stringify(seen.errors));
    assert.equal(await uidOf("PersistentVolumeClaim", "data-demo-store-1"), claim);
    assert.deepEqual(
      (await demo().stores()).map(({ status }) => status?.storeId),
      before.map(({ status }) => status?.storeId),
    );
  });

  it("a killed store process is back at once", async function () {
    needsNodes(this);
    const load = await startLoad(await demo().connect(), { writers: 2, pauseMs: 20, prefix: "kill/" });
    await killContainer(await lane.get<Pod>("Pod", "demo-store-2"), "SIGKILL");
    await demo().until("it is noticed", (c) => c.status?.stores?.some(({ state }) => state !== "Up") === true, 30_000);
    await demo().untilReady(60_000);
    const seen = await load.stop();
    note("kill -9 of a store: longest pause", `${seen.maxPauseMs} ms`);
    assert.equal(seen.failed, 0, JSON.stringify(seen.errors));
  });

  it("a store that loses its pod and its volume is replaced under a new name and id", async () => {
    const before = await checksum(await demo().connect(), { start: "data/", end: "data0" });
    const ids = (await demo().stores()).map(({ status }) => status?.storeId);
    const { seconds } = await timed(async () => {
      await lane.remove("PersistentVolumeClaim", "data-demo-store-0");
      await lane.remove("Pod", "demo-store-0", { gracePeriodSeconds: 0 });
      await demo().until(
        "another store has taken its place",
        (c) => {
          const stores = c.status?.stores ?? [];
          return stores.length === 3 && stores.every(({ name, state }) => name !== "demo-store-0" && state === "Up");
        },
        120_000,
      );
      await demo().untilReady(60_000);
    });
    note("pod and volume deleted to full health", `${seconds} s`);
    const [fresh] = (await demo().stores()).map(({ status }) => status?.storeId).filter((id) => !ids.includes(id));
    assert.ok(fresh !== undefined && fresh > Math.max(...ids.map((id) => id ?? 0)));
    assert.deepEqual(await checksum(await demo().connect(), { start: "data/", end: "data0" }), before);
  });

  it("PD without its leader goes on", async () => {
    const admin = await demo().admin();
    const leader = (await admin.members()).find(({ isLeader }) => isLeader)?.name ?? assert.fail("nobody leads");
    const load = await startLoad(await demo().connect(), { writers: 2, pauseMs: 20, prefix: "pd/" });
    const { seconds } = await timed(async () => {
      await lane.remove("Pod", leader, { gracePeriodSeconds: 0 });
      await until(
        "another member leads",
        async () => {
          const now = (await admin.members({ timeoutMs: 2_000 })).find(({ isLeader }) => isLeader)?.name;
          return now !== undefined && now !== leader;
        },
        30_000,
      );
    });
    note("PD leader killed to the next one", `${seconds} s`);
    await demo().untilReady(60_000);
    const seen = await load.stop();
    assert.equal(seen.failed, 0, JSON.stringify(seen.errors));
  });

  it("a member of PD that loses its volume is replaced", async () => {
    const { seconds } = await timed(async () => {
      await lane.remove("PersistentVolumeClaim", "data-demo-pd-1");
      await lane.remove("Pod", "demo-pd-1", { gracePeriodSeconds: 0 });
      await until(
        "three healthy members without it",
        async () => {
          const members = await (await demo().admin()).members({ timeoutMs: 3_000 });
          return (
            members.length === 3 &&
            members.every(({ name, isVoter, isHealthy }) => name !== "demo-pd-1" && isVoter && isHealthy)
          );
        },
        120_000,
      );
      await demo().untilReady(60_000);
    });
    note("PD member lost to three healthy ones", `${seconds} s`);
  });

  it("kubectl rhea drain empties a store and replaces it", async () => {
    const [victim] = (await demo().stores()).map(({ metadata }) => metadata.name);
    await lane.patch("RheaStore", victim ?? "", { spec: { drain: true } });
    await demo().until(
      "it is gone and three others are up",
      (c) => {
        const stores = c.status?.stores ?? [];
        return stores.length === 3 && stores.every(({ name, state }) => name !== victim && state === "Up");
      },
      120_000,
    );
    await demo().untilReady(60_000);
  });

  it("three members of PD become one", async () => {
    await demo().apply({ ...spec, pd: { ...spec.pd, replicas: 1 } });
    await until(
      "one member is left",
      async () => {
        const members = await (await demo().admin()).members({ timeoutMs: 3_000 });
        return (
          members.length === 1 && members.every(({ isLeader }) => isLeader) && (await demo().pods("pd")).length === 1
        );
      },
      120_000,
    );
    await demo().untilReady(60_000);
  });
});
