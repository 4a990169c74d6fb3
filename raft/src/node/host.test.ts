import { deepEqual, equal, ok, throws } from "node:assert/strict";
import type { RheaError } from "@rhea/common";
import { settle } from "./test-settle.js";
import { TestWorld, type TestStore } from "./test-store.js";

/** Whether an error has this code. */
const code =
  (expected: string) =>
  (error: RheaError): boolean =>
    error.code === expected;

describe("raft host: proposals, failures and restarts", () => {
  let world: TestWorld;
  const others = (store: TestStore): TestStore[] => world.stores.filter((other) => other !== store);

  beforeEach(async () => {
    world = new TestWorld(settle);
    await world.start(3);
  });

  afterEach(() => {
    for (const store of world.stores) deepEqual(store.fatal, [], `${store.name} met a fatal error`);
  });

  it("elects a leader and applies what it proposes everywhere, with the context at the proposer only", async () => {
    await world.write("one");
    const leader = world.leader() as TestStore;
    for (const store of world.stores) {
      deepEqual(store.texts(), ["one"]);
      deepEqual(store.machine().contexts, store === leader ? ["one"] : []);
    }
    ok(leader.machine().happened.some((what) => what.startsWith("leads ")));
  });

  it("puts all proposals of a turn into one append and applies them in one batch", async () => {
    const leader = await world.elected();
    await world.write("warm");
    const batches: number[] = [];
    leader.machine().beforeApply = (entries) => {
      batches.push(entries.length);
      return undefined;
    };
    const appends = leader.log.stats().appends;
    for (let i = 0; i < 50; i++) leader.node().apply({ data: Buffer.from(`t${i}`) });
    await world.time.until("all applied", () => leader.texts().includes("t49"));
    deepEqual(batches, [50]);
    equal(leader.log.stats().appends - appends, 1);
  });

  it("refuses proposals on followers, naming the leader", async () => {
    await world.write("one");
    const leader = world.leader() as TestStore;
    const [follower] = others(leader) as [TestStore];
    throws(
      () => {
        follower.node().apply({ data: Buffer.from("x") });
      },
      (error: RheaError) => error.code === "NOT_LEADER" && error.details.leader?.storeId === leader.storeId,
    );
  });

  it("refuses a proposal that expects another term", async () => {
    const leader = await world.elected();
    const expectedTerm = leader.node().term - 1;
    throws(() => {
      leader.node().apply({ data: Buffer.from("x"), expectedTerm });
    }, code("PROPOSAL_DROPPED"));
  });

  it("refuses proposals beyond the limit at once", async () => {
    const leader = await world.elected();
    for (let i = 0; i < 16_384; i++) leader.node().apply({ data: Buffer.from("x") });
    throws(() => {
      leader.node().apply({ data: Buffer.from("x") });
    }, code("SERVER_BUSY"));
    await world.time.until("room again", () => leader.texts().length === 16_384);
    leader.node().apply({ data: Buffer.from("y") });
  });

  it("goes on after every store was killed and restarted", async () => {
    await world.write("one");
    for (const store of world.stores) store.kill();
    for (const store of world.stores) await store.open();
    await world.write("two");
    for (const store of world.stores) deepEqual(store.texts(), ["one", "two"]);
  });

  it("elects another leader when the leader's process is killed, sooner than an election timeout", async () => {
    await world.write("one");
    const leader = world.leader() as TestStore;
    const before = world.time.monotonicMs();
    leader.kill();
    const next = await world.elected(7, leader);
    ok(world.time.monotonicMs() - before < 800, `took ${world.time.monotonicMs() - before} ms`);
    await world.write("two");
    await leader.open();
    await world.time.until("the restarted store caught up", () => leader.texts().includes("two"));
    equal(world.leader(), next);
  });

  it("keeps a leader that was cut off from telling its proposals applied, and overwrites them", async () => {
    await world.write("one");
    const old = world.leader() as TestStore;
    world.net.isolate(old.name, world.names);
    old.node().apply({ data: Buffer.from("lost"), context: "lost" });
    await world.time.until("a new leader", () => others(old).some((store) => store.node().isLeader));
    await world.write("two", others(old));
    world.net.heal();
    await world.time.until("the old leader caught up", () => old.texts().includes("two"));
    for (const store of world.stores) deepEqual(store.texts(), ["one", "two"]);
    deepEqual(old.machine().contexts, ["one"]);
    equal(old.machine().dropped.length, 1);
    equal(old.machine().dropped[0]?.context, "lost");
  });

  it("reports a proposal as overwritten for certain when another leader's entry took its index", async () => {
    await world.write("one");
    const old = world.leader() as TestStore;
    world.net.isolate(old.name, world.names);
    old.node().apply({ data: Buffer.from("lost"), context: "lost" });
    await world.time.until("a new leader", () => others(old).some((store) => store.node().isLeader));
    world.net.heal();
    await world.time.until("dropped", () => old.machine().dropped.length > 0);
    deepEqual(old.machine().dropped, [{ context: "lost", code: "STALE_COMMAND", maybeApplied: false }]);
  });

  it("reports a proposal as perhaps applied when its leader stays cut off", async () => {
    await world.write("one");
    const old = world.leader() as TestStore;
    world.net.isolate(old.name, world.names);
    old.node().apply({ data: Buffer.from("lost"), context: "lost" });
    await world.time.until("given up", () => old.machine().dropped.length > 0);
    deepEqual(old.machine().dropped, [{ context: "lost", code: "NOT_LEADER", maybeApplied: true }]);
    ok(old.machine().happened.includes("stops leading"));
  });

  it("holds back a group whose state machine waits, and no other", async () => {
    const [first] = world.stores as [TestStore];
    const peers = world.stores.map(({ storeId }) => ({ peerId: 20 + storeId, storeId, role: "voter" as const }));
    for (const store of world.stores) store.addGroup(8, 20 + store.storeId, peers);
    await world.write("warm", world.stores, 8);
    await world.write("one");
    let release: () => void = () => undefined;
    first.machine().beforeApply = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    await world.write("two", others(first));
    await world.write("free", world.stores, 8);
    deepEqual(first.texts(), ["one"]);
    first.machine().beforeApply = undefined;
    release();
    await world.time.until("applied after the wait", () => first.texts().includes("two"));
  });

  it("puts a group whose state machine throws into error, with the index, and lets the others go on", async () => {
    await world.write("one");
    const old = world.leader() as TestStore;
    old.machine().beforeApply = () => {
      throw new Error("disk on fire");
    };
    old.node().apply({ data: Buffer.from("two"), context: "two" });
    await world.time.until("error", () => old.node().status().state === "error");
    ok(/entries \d+ to \d+ failed: disk on fire/.test(old.node().status().error?.message ?? ""));
    ok(old.machine().happened.some((what) => what.startsWith("error ")));
    equal(old.node().isLeader, false);
    await world.time.until("a new leader", () => others(old).some((store) => store.node().isLeader));
    await world.write("three", others(old));
  });

  it("tells of a group in error that it leads no more, and that what is in its log may still be applied", async () => {
    await world.write("one");
    const old = world.leader() as TestStore;
    let fail: (error: Error) => void = () => undefined;
    old.machine().beforeApply = () =>
      new Promise((_resolve, reject) => {
        fail = reject;
      });
    old.node().apply({ data: Buffer.from("two"), context: "two" });
    await world.time.run(50);
    old.node().apply({ data: Buffer.from("three"), context: "three" });
    await world.time.run(50);
    old.node().apply({ data: Buffer.from("four"), context: "four" });
    fail(new Error("disk on fire"));
    await world.time.until("error", () => old.node().status().state === "error");
    const fates = old.machine().dropped.map(({ context, maybeApplied }) => [context, maybeApplied]);
    deepEqual(fates, [
      ["four", false],
      ["three", true],
    ]);
    const happened = old.machine().happened.slice(-2);
    equal(happened[0], "stops leading");
    await world.time.until("the others applied it", () =>
      others(old).every((store) => store.texts().includes("three")),
    );
  });

  it("moves leadership where it is told to", async () => {
    await world.write("one");
    const leader = world.leader() as TestStore;
    const [target] = others(leader) as [TestStore];
    let done = false;
    void leader
      .node()
      .transferLeadershipTo(10 + target.storeId)
      .then(() => {
        done = true;
      });
    await world.time.until("transferred", () => done);
    equal(world.leader(), target);
    await world.write("two");
  });

  it("fails a transfer to a voter that does not answer, and leads on", async () => {
    await world.write("one");
    const leader = world.leader() as TestStore;
    const [target] = others(leader) as [TestStore];
    target.kill();
    let failure: RheaError | undefined;
    leader
      .node()
      .transferLeadershipTo(10 + target.storeId)
      .catch((error: unknown) => {
        failure = error as RheaError;
      });
    await world.time.until("failed", () => failure !== undefined);
    equal(failure?.code, "TRANSFER_FAILED");
    await world.write("two");
  });

  it("hands all leaderships over before a store stops", async () => {
    const groups = [21, 22, 23, 24];
    for (const groupId of groups) {
      const peers = world.stores.map(({ storeId }) => ({
        peerId: groupId * 10 + storeId,
        storeId,
        role: "voter" as const,
      }));
      for (const store of world.stores) store.addGroup(groupId, groupId * 10 + store.storeId, peers);
    }
    const first = world.store(1);
    for (const groupId of groups) await world.write("x", world.stores, groupId);
    for (const groupId of groups) {
      const leader = world.leader(groupId) as TestStore;
      if (leader !== first)
        leader
          .node(groupId)
          .transferLeadershipTo(groupId * 10 + 1)
          .catch(() => undefined);
    }
    await world.time.until("the first store leads", () => first.host.stats().leaders >= groups.length);
    let done = false;
    void first.host.transferAllLeaders(5_000).then(() => {
      done = true;
    });
    await world.time.until("handed over", () => done);
    equal(first.host.stats().leaders, 0);
  });

  it("refuses to start a group whose state machine is ahead of its log, for good", async () => {
    await world.write("one");
    const store = world.store(3);
    const data = store.data.get(7);
    ok(data);
    store.kill();
    data.applied = 99;
    store.data = new Map();
    await store.open();
    const options = { ...data, stateMachine: { onApply: () => undefined } };
    throws(() => store.host.createGroup(options), code("CORRUPTION"));
    throws(() => store.host.createGroup({ ...options, applied: 1 }), code("CORRUPTION"));
  });

  it("refuses a peer id that was destroyed, and takes no messages for it", async () => {
    await world.write("one");
    const leader = world.leader() as TestStore;
    const [gone] = others(leader) as [TestStore];
    await gone.host.destroyGroup(7, { confVer: 2, version: 1 });
    await world.time.run(2_000);
    equal(gone.host.group(7), undefined);
    deepEqual(gone.unknown, []);
    throws(() => gone.addGroup(7, 10 + gone.storeId, []), code("OPERATION_REFUSED"));
  });

  it("starts a group after an index, with that index's term", async () => {
    const peers = world.stores.map(({ storeId }) => ({ peerId: 30 + storeId, storeId, role: "voter" as const }));
    const confState = { voters: [31, 32, 33], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    const applied: number[] = [];
    for (const store of world.stores) {
      const stateMachine = {
        onApply: (entries: readonly { index: number; data: Uint8Array }[]) => {
          if (store.storeId === 1) for (const { index, data } of entries) if (data.length > 0) applied.push(index);
        },
      };
      const peerId = 30 + store.storeId;
      const options = { groupId: 9, peerId, stateMachine, applied: 5, appliedTerm: 5, confState, peers };
      store.host.createGroup({ ...options, campaignAtOnce: store.storeId === 1 }, { index: 5, term: 5 });
    }
    await world.time.until("a leader", () => world.store(1).node(9).isLeader);
    ok(world.store(1).node(9).term > 5);
    world
      .store(1)
      .node(9)
      .apply({ data: Buffer.from("x") });
    await world.time.until("applied", () => applied.length > 0);
    deepEqual(applied, [7]);
  });
});
