import { deepEqual, equal, ok } from "node:assert/strict";
import { RaftBatch, RaftMethods, type RaftBatchInit } from "@rhea/proto";
import { settle } from "./test-settle.js";
import { TestWorld, type TestStore } from "./test-store.js";

const BATCHES = RaftMethods.Messages.path;

describe("raft host: groups in which nothing happens", () => {
  let world: TestWorld;
  const others = (store: TestStore): TestStore[] => world.stores.filter((other) => other !== store);
  const resting = (store: TestStore): number => store.host.stats().quietGroups;
  /** All groups of all open stores rest. */
  const isQuiet = (): boolean =>
    world.stores.every((store) => !store.isOpen || resting(store) === store.host.stats().groups);
  const untilQuiet = (): Promise<void> => world.time.until("all rest", isQuiet);

  /** Lets time pass until something is done. */
  async function done(what: Promise<unknown>): Promise<void> {
    let isDone = false;
    what.then(
      () => {
        isDone = true;
      },
      () => undefined,
    );
    await world.time.until("done", () => isDone);
  }

  /** Items and messages that pass from now on, by group. */
  function listen(): Map<number, number> {
    const counts = new Map<number, number>();
    const count = (groupId = 0): void => void counts.set(groupId, (counts.get(groupId) ?? 0) + 1);
    world.net.intercept = (path, _from, _to, bytes) => {
      if (path !== BATCHES) return bytes;
      const { heartbeat, acks, messages } = RaftBatch.decode(bytes);
      for (const { groupId } of heartbeat?.items ?? []) count(groupId);
      for (const { groupId } of acks) count(groupId);
      for (const { groupId } of messages) count(groupId);
      return bytes;
    };
    return counts;
  }

  /** Changes the batches that one store sends to another; undefined loses them. */
  function meddle(from: TestStore, to: TestStore, change: (batch: RaftBatch) => RaftBatchInit | undefined): void {
    world.net.intercept = (path, sender, receiver, bytes) => {
      if (path !== BATCHES || sender !== from.name || receiver !== to.name) return bytes;
      const batch = RaftBatch.decode(bytes);
      if (batch.handshake !== null) return bytes;
      const changed = change(batch);
      return changed === undefined ? undefined : RaftBatch.encode(changed).finish();
    };
  }

  beforeEach(() => {
    world = new TestWorld(settle);
  });

  afterEach(() => {
    for (const store of world.stores) deepEqual(store.fatal, [], `${store.name} met a fatal error`);
  });

  it("rest after a while: nothing is said of them, and their leaders stay", async () => {
    const groups = Array.from({ length: 50 }, (_, i) => 100 + i);
    await world.start(3, groups);
    for (const groupId of groups) await world.write("x", world.stores, groupId);
    await untilQuiet();
    const terms = groups.map((groupId) => world.leader(groupId)?.node(groupId).term);
    const counts = listen();
    await world.time.run(60_000);
    deepEqual([...counts], []);
    deepEqual(
      groups.map((groupId) => world.leader(groupId)?.node(groupId).term),
      terms,
    );
    ok(isQuiet());
  });

  it("show their members as active while they rest", async () => {
    await world.start(3);
    await world.write("one");
    await untilQuiet();
    await world.time.run(30_000);
    const { progress } = (world.leader() as TestStore).node().status();
    equal(progress.length, 3);
    for (const { lastActiveMs } of progress) ok(lastActiveMs <= 400, `${lastActiveMs} ms`);
  });

  it("wake for a proposal and for reads on any peer, and rest again", async () => {
    await world.start(3);
    await world.write("one");
    for (const [i, store] of world.stores.entries()) {
      await untilQuiet();
      await done(store.node().readIndex());
      await untilQuiet();
      await world.write(`w${i}`);
    }
    await untilQuiet();
    for (const store of world.stores) deepEqual(store.texts(), ["one", "w0", "w1", "w2"]);
  });

  it("elect another leader when theirs is cut off, and the old one steps down", async () => {
    await world.start(3);
    await world.write("one");
    await untilQuiet();
    const old = world.leader() as TestStore;
    const since = world.time.monotonicMs();
    world.net.isolate(old.name, world.names);
    await world.time.until("a new leader", () => others(old).some((store) => store.node().isLeader));
    ok(world.time.monotonicMs() - since < 3_000, `took ${world.time.monotonicMs() - since} ms`);
    await world.time.until("the old one has stepped down", () => !old.node().isLeader, 3_000);
    ok(world.time.monotonicMs() - since < 3_000, `took ${world.time.monotonicMs() - since} ms`);
    world.net.heal();
    await world.write("two");
    await untilQuiet();
  });

  it("elect another leader at once when their leader's process is killed", async () => {
    const groups = Array.from({ length: 20 }, (_, i) => 100 + i);
    await world.start(3, groups);
    for (const groupId of groups) await world.write("x", world.stores, groupId);
    await untilQuiet();
    const gone = world.leader(100) as TestStore;
    const since = world.time.monotonicMs();
    gone.kill();
    for (const groupId of groups) await world.elected(groupId, gone);
    ok(world.time.monotonicMs() - since < 800, `took ${world.time.monotonicMs() - since} ms`);
    // Two of three are a quorum: they rest without the third, which is dialled now and then.
    await untilQuiet();
    const counts = listen();
    await world.time.run(20_000);
    deepEqual([...counts], []);
    await gone.open();
    await world.time.until("the restarted store knows the leaders", () =>
      groups.every((groupId) => gone.node(groupId).leaderId !== 0),
    );
    for (const groupId of groups) await world.write("y", world.stores, groupId);
    await untilQuiet();
  });

  it("step down when all followers' processes are gone", async () => {
    await world.start(3);
    await world.write("one");
    await untilQuiet();
    const leader = world.leader() as TestStore;
    for (const store of others(leader)) store.kill();
    await world.time.until("stepped down", () => !leader.node().isLeader, 2_500);
  });

  it("do not rest while a reachable follower lacks entries or does not answer", async () => {
    await world.start(3);
    await world.write("one");
    const leader = world.leader() as TestStore;
    const [slow] = others(leader) as [TestStore];
    meddle(leader, slow, () => undefined);
    await world.write("two", [leader]);
    await world.time.run(20_000);
    equal(resting(leader), 0);
    world.net.intercept = undefined;
    await untilQuiet();
    deepEqual(slow.texts(), ["one", "two"]);
  });

  it("do not renew a leadership on one side that the other side has given up", async () => {
    await world.start(3);
    await world.write("one");
    await untilQuiet();
    const leader = world.leader() as TestStore;
    const [first, second] = others(leader) as [TestStore, TestStore];
    const { term } = leader.node();
    // The second follower campaigns and wins a term that the first follower and the leader never hear of.
    world.net.cut(second.name, leader.name);
    world.net.cut(second.name, first.name);
    await world.time.run(100);
    equal(first.node().leaderId, 10 + leader.storeId);
    await world.time.run(10_000);
    equal(leader.node().term, term);
    equal(first.node().term, term);
    world.net.heal();
    await world.write("two");
    await untilQuiet();
  });

  it("come to rest although their agreements and digests are lost, doubled and late", async () => {
    const groups = Array.from({ length: 30 }, (_, i) => 100 + i);
    const seed = Number(process.env["SEED"] ?? 3);
    world = new TestWorld(settle, seed);
    await world.start(3, groups);
    for (const groupId of groups) await world.write("x", world.stores, groupId);
    await untilQuiet();
    const links = new Map<string, Uint8Array[]>();
    world.net.intercept = (path, from, to, bytes) => {
      if (path !== BATCHES || RaftBatch.decode(bytes).handshake !== null) return bytes;
      const dice = world.rng.int(10);
      if (dice < 2) return undefined;
      const kept = links.get(`${from} ${to}`) ?? [];
      links.set(`${from} ${to}`, kept);
      kept.push(bytes);
      return dice < 4 ? (kept[world.rng.int(kept.length)] ?? bytes) : bytes;
    };
    for (let round = 0; round < 40; round++) {
      const groupId = 100 + world.rng.int(30);
      const leader = world.leader(groupId);
      if (leader !== undefined) leader.node(groupId).apply({ data: Buffer.from(`r${round}`) });
      await world.time.run(world.rng.int(1_000));
    }
    world.net.intercept = undefined;
    await untilQuiet();
    const before = groups.map((groupId) => world.leader(groupId)?.node(groupId).term);
    await world.time.run(10_000);
    deepEqual(
      groups.map((groupId) => world.leader(groupId)?.node(groupId).term),
      before,
      `seed ${seed}`,
    );
    for (const groupId of groups) {
      const [a, b, c] = world.stores.map((store) => store.texts(groupId));
      deepEqual(a, b, `seed ${seed}`);
      deepEqual(b, c, `seed ${seed}`);
    }
  });

  it("wake where the two sides do not agree any more, and only there", async () => {
    const groups = Array.from({ length: 64 }, (_, i) => 128 + i);
    await world.start(3, groups);
    for (const groupId of groups) await world.write("x", world.stores, groupId);
    await untilQuiet();
    const leader = world.leader(groups[0]) as TestStore;
    const [follower] = others(leader) as [TestStore];
    let meddled = false;
    meddle(leader, follower, (batch) => {
      const { heartbeat } = batch;
      if (meddled || heartbeat === null || heartbeat.digest.length === 0) return batch;
      meddled = true;
      const digest = Buffer.from(heartbeat.digest);
      digest[1] = (digest[1] ?? 0) ^ 1;
      return { ...batch, heartbeat: { ...heartbeat, digest } };
    });
    await world.time.until("they differ", () => resting(follower) < groups.length);
    equal(resting(follower), groups.length - 1);
    await untilQuiet();
    for (const groupId of groups) ok(world.leader(groupId) !== undefined);
  });

  it("leave a store's set when they are destroyed there", async () => {
    await world.start(3, [7, 8]);
    for (const groupId of [7, 8]) await world.write("x", world.stores, groupId);
    await untilQuiet();
    const leader = world.leader(7) as TestStore;
    const [gone] = others(leader) as [TestStore];
    await gone.host.destroyGroup(7, { confVer: 1, version: 1 });
    await world.time.until("its leader asks for it", () => resting(leader) < 2, 1_000);
    equal(gone.host.stats().groups, 1);
    await world.write("y", others(gone), 7);
  });

  it("of one peer rest alone", async () => {
    await world.start(1);
    await world.write("one");
    await untilQuiet();
    await world.write("two");
    await untilQuiet();
  });

  it("take membership changes and transfers from rest", async () => {
    await world.start(3);
    await world.write("one");
    const fourth = await world.addStore();
    await untilQuiet();
    const leader = world.leader() as TestStore;
    await done(leader.node().addPeer({ peerId: 14, storeId: 4, role: "learner" }));
    await world.time.until("caught up", () => fourth.machines.has(7) && fourth.texts().includes("one"));
    await untilQuiet();
    equal(resting(fourth), 1);
    const [next] = others(leader) as [TestStore];
    await done(leader.node().transferLeadershipTo(10 + next.storeId));
    await untilQuiet();
    ok(next.node().isLeader);
    await done(next.node().removePeer(14));
    await world.write("two", [next]);
  });
});
