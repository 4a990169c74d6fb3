import { deepEqual, equal, match, ok } from "node:assert/strict";
import { RaftMethods } from "@rhea/proto";
import type { PeerInfo, UnknownPeerMessage } from "./api.js";
import { settle } from "./test-settle.js";
import { TestWorld, type TestStore } from "./test-store.js";

const BATCHES = RaftMethods.Messages.path;

describe("raft host: reads by lease", () => {
  let world: TestWorld;
  const others = (store: TestStore): TestStore[] => world.stores.filter((other) => other !== store);

  beforeEach(async () => {
    world = new TestWorld(settle);
    world.hostOptions = { readOnly: "leaseBased" };
    await world.start(3);
    await world.write("one");
  });

  afterEach(() => {
    for (const store of world.stores) deepEqual(store.fatal, [], `${store.name} met a fatal error`);
  });

  /** Reads and returns whether that took a message to anybody. */
  async function read(store: TestStore): Promise<boolean> {
    world.net.counts.clear();
    let done = false;
    store
      .node()
      .readIndex()
      .then(
        () => {
          done = true;
        },
        () => undefined,
      );
    await world.time.until("read", () => done, 200);
    return [...world.net.counts].some(([where, count]) => where.startsWith(`${BATCHES} ${store.name}>`) && count > 0);
  }

  it("ask nobody once a quorum has answered a heartbeat", async () => {
    const leader = world.leader() as TestStore;
    await world.time.run(430);
    equal(await read(leader), false);
  });

  it("ask a quorum first after a rest, and after the process stood still", async () => {
    const leader = world.leader() as TestStore;
    await world.time.until("it rests", () => leader.host.stats().quietGroups === 1);
    equal(await read(leader), true);
    await world.time.run(430);
    equal(await read(leader), false);
    // The leader's timers do not fire for 300 ms: its next turn comes before its next tick.
    world.time.pause(300);
    equal(await read(leader), true);
  });

  it("are not answered by a leader that was cut off for an election timeout", async () => {
    const old = world.leader() as TestStore;
    world.net.isolate(old.name, world.names);
    await world.time.until("a new leader", () => others(old).some((store) => store.node().isLeader));
    let done = false;
    old
      .node()
      .readIndex()
      .then(
        () => {
          done = true;
        },
        () => undefined,
      );
    await world.time.run(5_000);
    equal(done, false);
  });
});

describe("raft host: who leads, who is told", () => {
  let world: TestWorld;
  const others = (store: TestStore): TestStore[] => world.stores.filter((other) => other !== store);
  const peersWith = (groupId: number, priorities: readonly number[]): PeerInfo[] =>
    world.stores.map(({ storeId }, i) => ({
      peerId: groupId * 10 + storeId,
      storeId,
      role: "voter",
      priority: priorities[i] ?? -1,
    }));

  beforeEach(() => {
    world = new TestWorld(settle);
  });

  afterEach(() => {
    for (const store of world.stores) deepEqual(store.fatal, [], `${store.name} met a fatal error`);
  });

  it("the peer of the highest priority is elected, and the next one when it is gone", async () => {
    await world.start(3, []);
    const groups = [21, 22, 23, 24, 25];
    for (const groupId of groups) {
      const peers = peersWith(groupId, [80, 100, 0]);
      for (const store of world.stores) store.addGroup(groupId, groupId * 10 + store.storeId, peers);
    }
    for (const groupId of groups) equal((await world.elected(groupId)).storeId, 2);
    world.store(2).kill();
    for (const groupId of groups) equal((await world.elected(groupId, world.store(2))).storeId, 1);
  });

  it("leaders of groups at rest are handed over too when the disk of their process does not answer", async () => {
    await world.start(3, [7, 8]);
    for (const groupId of [7, 8]) await world.write("one", world.stores, groupId);
    const stalled = world.leader(7) as TestStore;
    if (world.leader(8) !== stalled) {
      (world.leader(8) as TestStore)
        .node(8)
        .transferLeadershipTo(10 + stalled.storeId)
        .catch(() => undefined);
    }
    await world.time.until("it leads both", () => stalled.host.stats().leaders === 2);
    await world.time.until("they rest", () => stalled.host.stats().quietGroups === 2);
    const waiting: (() => void)[] = [];
    stalled.disk.intercept = (call, path) =>
      call === "datasync" && path.startsWith("log") ? new Promise((resolve) => waiting.push(resolve)) : undefined;
    stalled.node(8).apply({ data: Buffer.from("two") });
    const since = world.time.monotonicMs();
    await world.time.until("others lead both", () =>
      [7, 8].every((groupId) => others(stalled).some((store) => store.node(groupId).isLeader)),
    );
    // An election timeout until the stall counts as one, and no other after it.
    ok(world.time.monotonicMs() - since < 1_500, `took ${world.time.monotonicMs() - since} ms`);
    ok(stalled.host.stats().isDiskStalled);
    stalled.disk.intercept = undefined;
    for (const release of waiting) release();
    for (const groupId of [7, 8]) await world.write("three", world.stores, groupId);
  });

  it("a message for a newer peer of a group is told while the older one runs, and makes the newer one after it", async () => {
    const newer: UnknownPeerMessage[] = [];
    await world.start(3);
    await world.write("one");
    world.hostOptions = { onNewerPeer: (message) => newer.push(message) };
    const leader = world.leader() as TestStore;
    const [moved] = others(leader) as [TestStore];
    moved.kill();
    const done = async (what: Promise<unknown>): Promise<void> => {
      let isDone = false;
      what.then(
        () => {
          isDone = true;
        },
        () => undefined,
      );
      await world.time.until("done", () => isDone);
    };
    await done(leader.node().removePeer(10 + moved.storeId));
    await done(leader.node().addPeer({ peerId: 99, storeId: moved.storeId, role: "learner" }));
    await moved.open();
    await world.time.until("told", () => newer.length > 0);
    const [first] = newer;
    deepEqual([first?.groupId, first?.toPeer, first?.fromStore], [7, 99, leader.storeId]);
    equal(moved.node().peerId, 10 + moved.storeId);
    moved.data.delete(7);
    moved.machines.delete(7);
    await moved.host.destroyGroup(7, { confVer: 3, version: 1 });
    await world.time.until(
      "the newer one has it all",
      () => moved.machines.get(7)?.data.texts.includes("one") ?? false,
    );
    equal(moved.node().peerId, 99);
  });

  it("a store that moved is found by asking for its address again when the stream breaks", async () => {
    await world.start(3);
    await world.write("one");
    const leader = world.leader() as TestStore;
    const asked: number[] = [];
    const [moved] = others(leader) as [TestStore];
    const get = world.addresses.get.bind(world.addresses);
    world.addresses.get = (storeId) => {
      asked.push(storeId);
      return get(storeId);
    };
    moved.kill();
    world.addresses.set(moved.storeId, "nowhere");
    await world.time.run(3_000);
    ok(asked.includes(moved.storeId));
    await moved.open();
    world.addresses.delete(moved.storeId);
    await world.write("two");
    deepEqual(moved.texts(), ["one", "two"]);
  });

  it("a dump names links, log and groups, those with a problem among them", async () => {
    await world.start(3);
    await world.write("one");
    const leader = world.leader() as TestStore;
    const [gone, left] = others(leader) as [TestStore, TestStore];
    gone.kill();
    await world.time.run(1_000);
    const text = leader.host.describe();
    match(text, new RegExp(`^raft host of store ${leader.storeId}, cluster 1, incarnation 1$`, "m"));
    match(text, new RegExp(`^link to store ${gone.storeId}: waiting, .* [1-9]\\d* failures$`, "m"));
    match(text, new RegExp(`^link to store ${left.storeId}: open, `, "m"));
    match(text, /^log: segments=1 /m);
    match(
      text,
      new RegExp(`^group 7 peer ${10 + leader.storeId}: leader, term \\d+, leader ${10 + leader.storeId}, `, "m"),
    );
  });
});
