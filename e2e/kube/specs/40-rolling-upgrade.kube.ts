/** Changes that take a restart, under load: an upgrade, a bad image, a reverted change, settings. */
import assert from "node:assert/strict";
import {
  brokenImage,
  conditionOf,
  image,
  KubeApiError,
  note,
  previousImage,
  startLoad,
  timed,
  until,
  useLane,
  type Load,
  type Pod,
} from "../harness/index.js";

describe("rolling changes", () => {
  const lane = useLane({ operator: true });
  const demo = () => lane.rheaCluster("demo");
  const spec = (more: object = {}) => ({
    pd: { replicas: 3, storage: { size: "1Gi" } },
    stores: { replicas: 3, storage: { size: "1Gi" } },
    ...more,
  });
  const images = async () => (await demo().pods()).map(({ spec: { containers } }) => containers[0]?.image);
  const uids = async () => (await demo().pods()).map(({ metadata }) => metadata.uid).sort();
  let load: Load;

  const startsFrom = async (more: object) => {
    await demo().apply(spec(more));
    await demo().untilReady(120_000);
    load = await startLoad(await demo().connect(), { writers: 4, keysPerWriter: 8, pauseMs: 20 });
  };
  const endsWithoutFailure = async (what: string) => {
    const seen = await load.stop();
    note(what, `${seen.ok} operations, ${seen.failed} failed, longest pause ${seen.maxPauseMs} ms`);
    assert.equal(seen.failed, 0, JSON.stringify(seen.errors));
  };

  it("an upgrade from the commit before: no operation fails", async function () {
    const before = previousImage(this);
    await startsFrom({ image: before });
    const { seconds } = await timed(async () => {
      await demo().apply(spec({ image: image() }));
      await demo().until("every pod has the new image", () => true, 1_000);
      await until(
        "every pod has the new image",
        async () => (await images()).every((each) => each === image()),
        300_000,
      );
      await demo().untilReady(120_000);
    });
    note("rolling upgrade of 3 PD members and 3 stores", `${seconds} s`);
    await endsWithoutFailure("upgrade under load");
  });

  it("a bad image stops at the first pod, is told, and the fix goes through", async () => {
    await startsFrom({ image: image() });
    const before = await uids();
    await demo().apply(spec({ image: brokenImage() }));
    const blocked = await demo().until(
      "is Blocked by the image",
      (c) => /cannot be pulled/.test(conditionOf(c, "Blocked")?.message ?? ""),
      90_000,
    );
    note("Blocked says", (conditionOf(blocked, "Blocked")?.message ?? "").slice(0, 160));
    const now = await uids();
    assert.equal(before.filter((uid) => !now.includes(uid)).length, 1, "more than one pod was touched");
    await demo().apply(spec({ image: image() }));
    await demo().untilReady(120_000);
    assert.ok((await images()).every((each) => each === image()));
    await endsWithoutFailure("bad image under load");
  });

  it("a change that is reverted half-way leaves those alone that have not changed", async () => {
    await startsFrom({ image: image() });
    const before = await uids();
    const changed = spec({ image: image(), config: { raft: { electionTicks: 9 } } });
    await demo().apply(changed);
    const hasChanged = ({ spec: { containers } }: Pod) => JSON.stringify(containers).includes("election-ticks=9");
    await until("the first store has changed", async () => (await demo().pods("store")).some(hasChanged), 120_000);
    await demo().apply(spec({ image: image() }));
    await demo().untilReady(180_000);
    assert.ok(!(await demo().pods("store")).some(hasChanged));
    const now = await uids();
    const touched = before.filter((uid) => !now.includes(uid)).length;
    note("pods touched by a change reverted half-way", String(touched));
    assert.ok(touched >= 1 && touched <= 2, `${touched} pods were replaced`);
    await endsWithoutFailure("reverted change under load");
  });

  it("settings that can be reloaded restart nothing", async () => {
    const before = await uids();
    await demo().apply(spec({ image: image(), config: { logLevel: "debug", schedule: { operationLimit: 3 } } }));
    const admin = await demo().admin();
    await until(
      "PD has the settings",
      async () => {
        const { config } = await admin.clusterInfo();
        return config?.operationLimit === 3 && config.logLevel === "debug";
      },
      30_000,
    );
    await demo().untilReady(30_000);
    assert.deepEqual(await uids(), before);
  });

  it("bad settings are refused at once, with the reason", async () => {
    await assert.rejects(demo().apply(spec({ config: { raft: { electionTicks: 3 } } })), (error) => {
      assert.ok(error instanceof KubeApiError);
      assert.match(error.message, /electionTicks/);
      return true;
    });
    await assert.rejects(demo().apply(spec({ config: { logLevel: "loud" } })), /logLevel/);
  });

  it("a restart that a user asks for replaces every pod, one by one", async () => {
    load = await startLoad(await demo().connect(), { writers: 2, pauseMs: 20, prefix: "restart/" });
    const before = await uids();
    const { seconds } = await timed(async () => {
      await lane.patch("RheaCluster", "demo", {
        metadata: { annotations: { "rheakv.io/restarted-at": new Date().toISOString() } },
      });
      await until(
        "every pod is another one",
        async () => {
          const now = await uids();
          return now.length === before.length && now.every((uid) => !before.includes(uid));
        },
        240_000,
      );
      await demo().untilReady(60_000);
    });
    note("rolling restart", `${seconds} s`);
    await endsWithoutFailure("restart under load");
  });
});
