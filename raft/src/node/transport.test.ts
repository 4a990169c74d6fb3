import { deepEqual, equal, ok } from "node:assert/strict";
import { RheaError } from "@rhea/common";
import { RaftMethods, type HandshakeInit, type RaftBatchReply } from "@rhea/proto";
import { settle } from "./test-settle.js";
import { TestWorld, type TestStore } from "./test-store.js";

describe("raft host: transport", () => {
  let world: TestWorld;
  const others = (store: TestStore): TestStore[] => world.stores.filter((other) => other !== store);

  /** Dials a store with a handshake and returns what it answers. */
  async function greet(store: TestStore, handshake: HandshakeInit): Promise<RaftBatchReply> {
    const stream = world.net.of("stranger").connect(store.name).stream(RaftMethods.Messages);
    let answer: RaftBatchReply | undefined;
    stream.listen({
      onMessage: (reply) => {
        answer = reply;
      },
      onClose: () => undefined,
    });
    stream.send({ handshake });
    await world.time.until("an answer", () => answer !== undefined);
    if (answer === undefined) throw new Error("no answer");
    return answer;
  }

  const good: HandshakeInit = {
    protocolVersion: 1,
    clusterId: 1,
    storeId: 9,
    incarnation: 5,
    bootNonce: Buffer.from("boot"),
    toStoreId: 1,
  };

  beforeEach(async () => {
    world = new TestWorld(settle);
  });

  afterEach(() => {
    for (const store of world.stores) deepEqual(store.fatal, [], `${store.name} met a fatal error`);
  });

  it("refuses handshakes of other clusters, versions, addressees and older lives, with typed errors", async () => {
    await world.start(1);
    const store = world.store(1);
    equal((await greet(store, good)).handshake?.storeId, 1);
    equal((await greet(store, { ...good, clusterId: 2 })).error?.code, "CLUSTER_MISMATCH");
    equal((await greet(store, { ...good, protocolVersion: 9 })).error?.code, "VERSION_UNSUPPORTED");
    equal((await greet(store, { ...good, toStoreId: 4 })).error?.code, "NOT_FOUND");
    equal((await greet(store, { ...good, incarnation: 4 })).error?.code, "STALE_IDENTITY");
    equal((await greet(store, { ...good, bootNonce: Buffer.from("other") })).error?.code, "STALE_IDENTITY");
    equal((await greet(store, { ...good, incarnation: 6 })).handshake?.storeId, 1);
    ok(store.lines.some((line) => line.includes("STALE_IDENTITY")));
  });

  it("does not talk to the wrong store at an address", async () => {
    world.addresses.set(2, "store-3");
    await world.start(3);
    await world.time.run(5_000);
    ok(
      world.store(1).lines.some((line) => line.includes("refresh the address")),
      world.store(1).lines.join("\n"),
    );
    world.addresses.clear();
    await world.write("one");
  });

  it("carries the heartbeats of all groups in one message per store and interval", async () => {
    const groups = Array.from({ length: 100 }, (_, i) => 100 + i);
    await world.start(3, groups);
    for (const groupId of groups) await world.elected(groupId);
    await world.time.run(3_000);
    world.net.counts.clear();
    await world.time.run(2_000);
    const leaders = world.stores.filter((store) => store.host.stats().leaders > 0);
    ok(leaders.length > 0);
    for (const leader of leaders) {
      for (const other of others(leader)) {
        const sent = world.net.counts.get(`${RaftMethods.Messages.path} ${leader.name}>${other.name}`) ?? 0;
        // Ten intervals of heartbeats, and as many batches of answers to the other leaders' heartbeats.
        ok(sent >= 10 && sent <= 10 * leaders.length + 2, `${leader.name} sent ${sent} messages to ${other.name}`);
      }
    }
  });

  it("asks for the reads of all groups of a turn in one message per store", async () => {
    const groups = Array.from({ length: 20 }, (_, i) => 100 + i);
    await world.start(3, groups);
    const first = world.store(1);
    for (const groupId of groups) await world.write("x", world.stores, groupId);
    for (const groupId of groups) {
      if (!first.node(groupId).isLeader) {
        const leader = world.leader(groupId) as TestStore;
        leader
          .node(groupId)
          .transferLeadershipTo(11)
          .catch(() => undefined);
      }
    }
    await world.time.until("the first store leads", () => groups.every((groupId) => first.node(groupId).isLeader));
    await world.time.run(1_030);
    world.net.counts.clear();
    let done = 0;
    for (const groupId of groups) {
      first
        .node(groupId)
        .readIndex()
        .then(() => done++)
        .catch(() => undefined);
    }
    await world.time.until("read", () => done === groups.length, 50);
    equal(world.net.counts.get(`${RaftMethods.Messages.path} store-1>store-2`), 1);
    equal(world.net.counts.get(`${RaftMethods.Messages.path} store-2>store-1`), 1);
  });

  it("stops heartbeats of a leader whose disk does not answer, so that another takes over", async () => {
    await world.start(3);
    await world.write("one");
    const stalled = world.leader() as TestStore;
    const waiting: (() => void)[] = [];
    stalled.disk.intercept = (call, path) =>
      call === "datasync" && path.startsWith("log") ? new Promise((resolve) => waiting.push(resolve)) : undefined;
    stalled.node().apply({ data: Buffer.from("two") });
    await world.time.until("another leader", () => others(stalled).some((store) => store.node().isLeader));
    stalled.disk.intercept = undefined;
    for (const release of waiting) release();
    await world.write("three");
  });

  it("lets another take over from a leader whose disk does not answer also while it is given work", async () => {
    await world.start(3);
    await world.write("one");
    const stalled = world.leader() as TestStore;
    const waiting: (() => void)[] = [];
    stalled.disk.intercept = (call, path) =>
      call === "datasync" && path.startsWith("log") ? new Promise((resolve) => waiting.push(resolve)) : undefined;
    for (let i = 0; i < 60 && !others(stalled).some((store) => store.node().isLeader); i++) {
      if (stalled.node().isLeader) stalled.node().apply({ data: Buffer.from(`more ${i}`) });
      await world.time.run(100);
    }
    ok(others(stalled).some((store) => store.node().isLeader));
    stalled.disk.intercept = undefined;
    for (const release of waiting) release();
    await world.write("three");
  });

  it("stops the process when the log fails", async () => {
    await world.start(3);
    await world.write("one");
    const leader = world.leader() as TestStore;
    leader.disk.intercept = (call) => {
      if (call === "datasync") throw new RheaError("DISK_FAILED", "EIO");
    };
    leader.node().apply({ data: Buffer.from("two"), context: "two" });
    await world.time.until("fatal", () => leader.fatal.length > 0);
    deepEqual(leader.machine().contexts, ["one"]);
    ok(leader.fatal.every(({ code }) => code === "DISK_FAILED"));
    leader.fatal.length = 0;
    await world.time.until("another leader", () => others(leader).some((store) => store.node().isLeader));
  });

  it("drops messages for a peer id that is not the one here", async () => {
    await world.start(3);
    await world.write("one");
    const store = world.store(1);
    const { term } = store.node();
    const stream = world.net.of("stranger").connect(store.name).stream(RaftMethods.Messages);
    stream.listen({ onMessage: () => undefined, onClose: () => undefined });
    stream.send({ handshake: good });
    stream.send({ messages: [{ type: 5, groupId: 7, fromPeer: 12, toPeer: 99, term: term + 5, initial: true }] });
    stream.send({ messages: [{ type: 77, groupId: 7, fromPeer: 12, toPeer: 11, term: term + 5 }] });
    stream.send({ messages: [{ type: 3, groupId: 7, fromPeer: 12, toPeer: 11, term: 2 ** 60 }] });
    await world.time.run(50);
    equal(store.node().term, term);
    deepEqual(store.unknown, []);
  });

  it("asks the embedder about unknown groups for initial messages only", async () => {
    await world.start(1, []);
    const store = world.store(1);
    store.createsPeers = false;
    const stream = world.net.of("stranger").connect(store.name).stream(RaftMethods.Messages);
    stream.listen({ onMessage: () => undefined, onClose: () => undefined });
    stream.send({ handshake: good });
    const message = { type: 3, groupId: 8, fromPeer: 12, toPeer: 11, term: 2 };
    stream.send({ messages: [message, { ...message, initial: true, startKey: Buffer.from("k") }] });
    await world.time.run(50);
    equal(store.unknown.length, 1);
    const [
      { groupId, toPeer, fromStore, startKey } = { groupId: 0, toPeer: 0, fromStore: 0, startKey: Buffer.alloc(0) },
    ] = store.unknown;
    deepEqual([groupId, toPeer, fromStore, Buffer.from(startKey).toString()], [8, 11, 9, "k"]);
  });

  it("survives random kills, cuts and restarts: what was applied is the same everywhere", async () => {
    const seed = Number(process.env["SEED"] ?? 20_240_607);
    world = new TestWorld(settle, seed);
    await world.start(3, [7], { maxLogEntries: 40 });
    const { rng } = world;
    let proposed = 0;
    for (let round = 0; round < 120; round++) {
      const store = world.store(1 + rng.int(3));
      const dice = rng.int(10);
      if (dice === 0 && store.isOpen) store.kill();
      else if (dice === 1 && !store.isOpen) await store.open({ maxLogEntries: 40 });
      else if (dice === 2) world.net.isolate(store.name, world.names);
      else if (dice === 3) world.net.heal();
      const leader = world.leader();
      for (let i = 0; i < 5; i++) {
        try {
          leader?.node().apply({ data: Buffer.from(`p${proposed++}`) });
        } catch (error) {
          if (!(error instanceof RheaError)) throw error;
        }
      }
      await world.time.run(rng.int(600));
    }
    world.net.heal();
    for (const store of world.stores) if (!store.isOpen) await store.open({ maxLogEntries: 40 });
    await world.time.run(5_000);
    await world.write("end");
    const [first, ...rest] = world.stores.map((store) => store.texts());
    for (const texts of rest) deepEqual(texts, first, `seed ${seed}`);
    equal(new Set(first).size, first?.length, `seed ${seed}: nothing twice`);
    ok((first?.length ?? 0) > 10, `seed ${seed}: only ${first?.length ?? 0} were applied`);
  });
});
