import { deepEqual, equal, ok } from "node:assert/strict";
import type { RheaError } from "@rhea/common";
import { settle } from "./test-settle.js";
import { TestWorld, type TestStore } from "./test-store.js";

/** Follows a promise without awaiting it. */
function follow(promise: Promise<void>): { done: boolean; error: RheaError | undefined } {
  const state: { done: boolean; error: RheaError | undefined } = { done: false, error: undefined };
  promise.then(
    () => {
      state.done = true;
    },
    (error: unknown) => {
      state.error = error as RheaError;
    },
  );
  return state;
}

describe("raft host: linearizable reads", () => {
  let world: TestWorld;
  const others = (store: TestStore): TestStore[] => world.stores.filter((other) => other !== store);

  beforeEach(async () => {
    world = new TestWorld(settle);
    await world.start(3);
  });

  afterEach(() => {
    for (const store of world.stores) deepEqual(store.fatal, [], `${store.name} met a fatal error`);
  });

  it("shows acknowledged writes on the leader and on followers", async () => {
    for (let i = 0; i < 5; i++) {
      const leader = await world.elected();
      await world.write(`w${i}`, [leader]);
      for (const store of world.stores) {
        const read = follow(store.node().readIndex());
        await world.time.until("read", () => read.done);
        ok(store.texts().includes(`w${i}`), `${store.name} read before w${i} was there`);
      }
    }
  });

  it("serves all reads of a turn by one round", async () => {
    await world.write("one");
    const leader = world.leader() as TestStore;
    const before = leader.host.stats().readIndexRounds;
    const reads = Array.from({ length: 100 }, () => follow(leader.node().readIndex()));
    await world.time.until("read", () => reads.every(({ done }) => done));
    equal(leader.host.stats().readIndexRounds - before, 1);
  });

  it("does not serve a read on a leader that is cut off", async () => {
    await world.write("one");
    const old = world.leader() as TestStore;
    world.net.isolate(old.name, world.names);
    const read = follow(old.node().readIndex());
    await world.write("two", others(old)).catch(() => undefined);
    await world.time.until("given up", () => read.error !== undefined);
    equal(read.done, false);
    ok(["NOT_LEADER", "LEADER_NOT_AVAILABLE"].includes(read.error?.code ?? ""), read.error?.code);
  });

  it("does not serve a read on a follower that is cut off", async () => {
    await world.write("one");
    const leader = world.leader() as TestStore;
    const [follower] = others(leader) as [TestStore];
    world.net.isolate(follower.name, world.names);
    const read = follow(follower.node().readIndex());
    await world.time.until("given up", () => read.error !== undefined);
    equal(read.error?.code, "LEADER_NOT_AVAILABLE");
  });

  it("repeats a follower's question that was lost", async () => {
    await world.write("one");
    const leader = world.leader() as TestStore;
    const [follower] = others(leader) as [TestStore];
    world.net.cut(follower.name, leader.name);
    const read = follow(follower.node().readIndex());
    await world.time.run(10);
    world.net.heal();
    await world.time.until("read", () => read.done || read.error !== undefined);
    ok(read.done);
  });

  it("answers what it asked a leader that is gone when it leads itself", async () => {
    await world.write("one");
    const old = world.leader() as TestStore;
    world.net.isolate(old.name, world.names);
    const asked = others(old).map((store) => ({ store, read: follow(store.node().readIndex()) }));
    await world.time.run(10);
    old.kill();
    const next = await world.elected(7, old);
    const { read } = asked.find(({ store }) => store === next) ?? { read: undefined };
    await world.time.until("read", () => read?.done === true || read?.error !== undefined);
    equal(read?.error, undefined);
  });

  it("knows where a peer is also when another one passes its question on", async () => {
    await world.write("one");
    const old = world.leader() as TestStore;
    const [next, asking] = others(old) as [TestStore, TestStore];
    world.net.isolate(asking.name, [next.name]);
    const transfer = follow(old.node().transferLeadershipTo(next.node().peerId));
    await world.time.until("transferred", () => transfer.done && next.node().isLeader);
    const { term } = next.node();
    // It has not heard of the new leader: the old one gets the question and passes it on.
    const read = follow(asking.node().readIndex());
    await world.time.run(20);
    equal(asking.node().term, term - 1);
    world.net.heal();
    await world.write("two", [next]);
    await world.time.until("heard from the leader", () => asking.node().leaderId === next.node().peerId, 500);
    await world.time.until("read", () => read.done || read.error !== undefined);
    equal(asking.node().term, term, "it had to ask for an election to be found");
  });

  it("waits on the reader until the index is applied there", async () => {
    await world.write("one");
    const leader = world.leader() as TestStore;
    const [follower] = others(leader) as [TestStore];
    let release: () => void = () => undefined;
    follower.machine().beforeApply = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    await world.write("two", [leader]);
    const read = follow(follower.node().readIndex());
    await world.time.run(1_000);
    equal(read.done, false);
    follower.machine().beforeApply = undefined;
    release();
    await world.time.until("read", () => read.done);
    ok(follower.texts().includes("two"));
  });

  it("completes within the turn where one voter decides alone", async () => {
    const store = world.store(1);
    store.addGroup(9, 91, [{ peerId: 91, storeId: 1, role: "voter" }]);
    await world.write("x", [store], 9);
    const before = world.time.monotonicMs();
    const read = follow(store.node(9).readIndex());
    await world.time.until("read", () => read.done);
    equal(world.time.monotonicMs(), before);
  });

  it("shows every acknowledged write after a single voter was killed and restarted", async () => {
    const store = world.store(1);
    store.addGroup(9, 91, [{ peerId: 91, storeId: 1, role: "voter" }]);
    for (let i = 0; i < 10; i++) await world.write(`x${i}`, [store], 9);
    const data = store.data.get(9);
    ok(data);
    // Nothing of the state machine was durable: the log must bring it all back.
    Object.assign(data, { applied: 0, appliedTerm: 0, texts: [] });
    store.kill();
    await store.open();
    await world.elected(9);
    const read = follow(store.node(9).readIndex());
    await world.time.until("read", () => read.done || read.error !== undefined);
    ok(read.done, read.error?.message);
    equal(store.texts(9).length, 10);
  });
});
