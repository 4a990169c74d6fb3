import { deepEqual, equal, ok } from "node:assert/strict";
import { RaftMethods } from "@rhea/proto";
import { settle } from "./test-settle.js";
import { TestWorld, type TestStore } from "./test-store.js";

const LIMITS = { maxLogEntries: 50 };

describe("raft host: snapshots and truncation", () => {
  let world: TestWorld;
  const others = (store: TestStore): TestStore[] => world.stores.filter((other) => other !== store);

  /** Kills a follower, writes until the leader has cut its log, and returns both. */
  async function leaveBehind(): Promise<{ leader: TestStore; behind: TestStore }> {
    await world.write("one");
    const leader = world.leader() as TestStore;
    const [behind] = others(leader) as [TestStore];
    behind.kill();
    for (let i = 0; i < 60; i++) await world.write(`w${i}`, [leader]);
    await world.time.until("the log was cut", () => leader.node().status().truncatedIndex > 40, 60_000);
    return { leader, behind };
  }

  beforeEach(async () => {
    world = new TestWorld(settle);
    await world.start(3, [7], LIMITS);
  });

  afterEach(() => {
    for (const store of world.stores) deepEqual(store.fatal, [], `${store.name} met a fatal error`);
  });

  it("cuts the logs of all peers once everybody has the entries", async () => {
    for (let i = 0; i < 20; i++) await world.write(`w${i}`);
    await world.time.run(5_000);
    for (const store of world.stores) {
      const { truncatedIndex, applied } = store.node().status();
      equal(truncatedIndex, applied, store.name);
    }
  });

  it("keeps what a live follower lacks, up to the limit", async () => {
    await world.write("one");
    const leader = world.leader() as TestStore;
    const [slow] = others(leader) as [TestStore];
    const { applied } = leader.node();
    world.net.intercept = (path, _from, to, bytes) => {
      if (path !== RaftMethods.Messages.path || to !== slow.name) return bytes;
      const batch = RaftMethods.Messages.decodeRequest(bytes);
      return RaftMethods.Messages.encodeRequest({ ...batch, messages: [] });
    };
    for (let i = 0; i < 40; i++) await world.write(`w${i}`, [leader]);
    await world.time.run(3_000);
    ok(leader.node().status().truncatedIndex <= applied);
    for (let i = 40; i < 80; i++) await world.write(`w${i}`, [leader]);
    await world.time.run(3_000);
    ok(leader.node().status().truncatedIndex > applied);
  });

  it("brings a peer that was away for long back by a snapshot", async () => {
    const { leader, behind } = await leaveBehind();
    await behind.open(LIMITS);
    await world.time.until("caught up", () => behind.texts().length === leader.texts().length);
    ok(behind.machine().happened.some((what) => what.startsWith("snapshot ")));
    await world.write("after");
    deepEqual(behind.texts(), leader.texts());
    await world.time.run(100);
    deepEqual(await behind.disk.list("snapshots"), []);
    deepEqual(await leader.disk.list("snapshots"), []);
    equal(leader.host.stats().sendingSnapshots, 0);
    equal(behind.host.stats().receivingSnapshots, 0);
  });

  it("installs again after a kill between the install record and the end of loading", async () => {
    const { leader, behind } = await leaveBehind();
    await behind.open(LIMITS);
    behind.machine().beforeLoad = () => new Promise(() => undefined);
    await world.time.until("the install is recorded", () => behind.log.group(7)?.pendingInstall !== undefined);
    await world.time.run(50);
    behind.kill();
    const before = behind.data.get(7)?.applied ?? 0;
    world.net.isolate(behind.name, world.names);
    await behind.open(LIMITS);
    await world.time.until("loaded", () => behind.machine().happened.some((what) => what.startsWith("snapshot ")));
    ok((behind.data.get(7)?.applied ?? 0) > before);
    world.net.heal();
    await world.write("after");
    deepEqual(behind.texts(), leader.texts());
    await world.time.run(100);
    deepEqual(await behind.disk.list("snapshots"), []);
    equal(behind.log.group(7)?.pendingInstall, undefined);
  });

  it("acknowledges a snapshot only once its install record is durable", async () => {
    const { leader, behind } = await leaveBehind();
    await behind.open(LIMITS);
    let release: () => void = () => undefined;
    behind.disk.intercept = (call, path) => {
      if (call !== "datasync" || !path.startsWith("log") || behind.log.group(7)?.pendingInstall === undefined) return;
      return new Promise((resolve) => {
        release = resolve;
      });
    };
    await world.time.until("the install is written", () => behind.log.group(7)?.pendingInstall !== undefined);
    await world.time.run(1_000);
    const progress = () =>
      leader
        .node()
        .status()
        .progress.find(({ storeId }) => storeId === behind.storeId);
    equal(progress()?.state, "snapshot");
    ok((progress()?.match ?? 0) < 40);
    ok(!behind.machine().happened.some((what) => what.startsWith("snapshot ")));
    behind.disk.intercept = undefined;
    release();
    await world.time.until("caught up", () => progress()?.state === "replicate");
  });

  it("sends again when a chunk was damaged on its way", async () => {
    const { leader, behind } = await leaveBehind();
    let damaged = 0;
    world.net.intercept = (path, _from, to, bytes) => {
      if (path !== RaftMethods.Snapshot.path || to !== behind.name || damaged > 0) return bytes;
      const chunk = RaftMethods.Snapshot.decodeRequest(bytes);
      if (chunk.data.length === 0) return bytes;
      damaged++;
      const data = Buffer.from(chunk.data);
      data.writeUInt8(data.readUInt8(0) ^ 1, 0);
      return RaftMethods.Snapshot.encodeRequest({ ...chunk, data });
    };
    await behind.open(LIMITS);
    await world.time.until("caught up", () => behind.texts().length === leader.texts().length);
    equal(damaged, 1);
    ok(
      behind.lines.some((line) => line.includes("CORRUPTION")),
      behind.lines.join("\n"),
    );
  });

  it("sends again when the transfer broke", async () => {
    const { leader, behind } = await leaveBehind();
    let cuts = 0;
    world.net.intercept = (path, from, to, bytes) => {
      if (path !== RaftMethods.Snapshot.path || to !== behind.name || cuts > 0) return bytes;
      cuts++;
      world.net.cut(from, to);
      return undefined;
    };
    await behind.open(LIMITS);
    await world.time.until("the transfer began", () => cuts > 0);
    await world.time.run(500);
    world.net.heal();
    await world.time.until("caught up", () => behind.texts().length === leader.texts().length);
    await world.time.run(100);
    deepEqual(await behind.disk.list("snapshots"), []);
  });

  it("removes what transfers of an earlier process left, and nothing else", async () => {
    const store = world.store(1);
    store.kill();
    const names = ["receive-1-9", "receive-2-1", "send-1-3"];
    for (const name of [...names, "other"]) store.disk.put(`snapshots/${name}/files/texts`, Buffer.from("x"));
    await store.open(LIMITS);
    await world.time.run(10);
    deepEqual(await store.disk.list("snapshots"), ["other", "receive-2-1"]);
  });
});
