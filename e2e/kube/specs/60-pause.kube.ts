/** Standing still on purpose: suspend, Plan, Paused; volumes that grow; a namespace that goes. */
import assert from "node:assert/strict";
import { checksum, conditionOf, note, sleep, timed, until, useLane, type KubeObject } from "../harness/index.js";

describe("pause", () => {
  const lane = useLane({ operator: true });
  const demo = () => lane.rheaCluster("demo");
  const spec = (more: object = {}, replicas = 3) => ({
    pd: { replicas: 3, storage: { size: "1Gi" } },
    stores: { replicas, storage: { size: "1Gi" } },
    ...more,
  });

  it("suspend stops every pod and keeps the data; resume has them back", async () => {
    await demo().apply(spec());
    await demo().untilReady(120_000);
    const client = await demo().connect();
    for (let at = 0; at < 200; at++) await client.put(`data/${at}`, `value ${at}`);
    const before = await checksum(client);
    await demo().apply(spec({ suspend: true }));
    const off = await timed(() => until("no pod runs", async () => (await demo().pods()).length === 0, 90_000));
    await demo().untilCondition("Ready", "False", 20_000);
    await demo().apply(spec());
    const on = await timed(() => demo().untilReady(120_000));
    note("suspend, resume", `${off.seconds} s, ${on.seconds} s`);
    assert.deepEqual(await checksum(await demo().connect()), before);
  });

  it("mode Plan tells what it would do and does nothing", async () => {
    await demo().apply(spec({ mode: "Plan" }, 4));
    const planned = await demo().until(
      "a plan",
      (c) => JSON.stringify(c.status?.plan ?? []).includes("add demo-store-"),
      30_000,
    );
    note("the plan", JSON.stringify(planned.status?.plan).slice(0, 160));
    await sleep(5_000);
    assert.equal((await demo().stores()).length, 3);
  });

  it("mode Paused does not mend, Reconcile does", async () => {
    await demo().apply(spec({ mode: "Paused", pause: { reason: "work on the network" } }));
    await demo().until("says so", (c) => /Paused/.test(conditionOf(c, "Blocked")?.message ?? ""), 30_000);
    await lane.remove("Service", "demo-stores");
    await sleep(5_000);
    assert.equal(await lane.get("Service", "demo-stores"), undefined);
    await demo().apply(spec());
    await until("the Service is back", () => lane.get("Service", "demo-stores"), 30_000);
    await demo().untilReady(60_000);
  });

  it("volumes grow with the spec", async () => {
    await demo().apply({ ...spec(), stores: { replicas: 3, storage: { size: "2Gi" } } });
    await until(
      "every store's claim asks for 2Gi and has it",
      async () => {
        const claims = await lane.list<KubeObject & { status?: { capacity?: { storage?: string } } }>(
          "PersistentVolumeClaim",
          "app.kubernetes.io/component=store",
        );
        return claims.length === 3 && claims.every(({ status }) => status?.capacity?.storage === "2Gi");
      },
      60_000,
    );
    await demo().untilReady(60_000);
  });

  it("deleting the namespace takes everything with it", async () => {
    const { seconds } = await timed(async () => {
      await lane.kubectl(["delete", "namespace", lane.namespace, "--wait=false"]);
      await until(
        "the namespace is gone",
        async () => (await lane.get("Namespace", lane.namespace)) === undefined,
        90_000,
      );
    });
    note("namespace deleted", `${seconds} s`);
  });
});
