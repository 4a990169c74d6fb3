import { deepEqual, equal, ok } from "node:assert/strict";
import type { RheaError } from "@rhea/common";
import { settle } from "./test-settle.js";
import { TestWorld, type TestStore } from "./test-store.js";

describe("raft host: membership changes", () => {
  let world: TestWorld;

  /** Runs an administrative request to its end and returns its error, if any. */
  async function finish(request: Promise<void>): Promise<RheaError | undefined> {
    let error: RheaError | undefined;
    let done = false;
    request
      .catch((thrown: unknown) => {
        error = thrown as RheaError;
      })
      .finally(() => {
        done = true;
      })
      .catch(() => undefined);
    await world.time.until("the request ended", () => done);
    return error;
  }

  beforeEach(async () => {
    world = new TestWorld(settle);
    await world.start(3);
  });

  afterEach(() => {
    for (const store of world.stores) deepEqual(store.fatal, [], `${store.name} met a fatal error`);
  });

  it("adds a learner on a new store, promotes it, and removes another member", async () => {
    await world.write("one");
    const fourth = await world.addStore();
    const leader = world.leader() as TestStore;
    equal(await finish(leader.node().addPeer({ peerId: 14, storeId: 4, role: "learner" })), undefined);
    await world.time.until("the learner has it all", () => fourth.machines.get(7)?.data.texts.includes("one") ?? false);
    deepEqual(fourth.unknown[0]?.startKey, Buffer.from("a"));
    const progress = leader
      .node()
      .status()
      .progress.find(({ peerId }) => peerId === 14);
    equal(progress?.role, "learner");
    await world.time.until("caught up", () =>
      leader
        .node()
        .status()
        .progress.every(({ isCaughtUp }) => isCaughtUp),
    );
    equal(await finish(leader.node().addPeer({ peerId: 14, storeId: 4, role: "voter" })), undefined);
    deepEqual(leader.node().status().confState.voters, [11, 12, 13, 14]);
    const removed = world.stores.find((store) => store !== leader && store !== fourth) as TestStore;
    equal(await finish(leader.node().removePeer(10 + removed.storeId)), undefined);
    await world.write("two", [leader, fourth]);
    equal(fourth.node().listPeers().length, 3);
    ok(
      fourth
        .node()
        .listPeers()
        .every(({ storeId }) => storeId !== 0),
    );
  });

  it("takes a repeated request as done", async () => {
    const leader = await world.elected();
    await world.write("one");
    equal(await finish(leader.node().addPeer({ peerId: 12, storeId: 2, role: "voter" })), undefined);
    equal(await finish(leader.node().removePeer(99)), undefined);
  });

  it("refuses a second change while one runs", async () => {
    await world.write("one");
    const leader = world.leader() as TestStore;
    await world.addStore();
    const first = leader.node().addPeer({ peerId: 14, storeId: 4, role: "learner" });
    const second = await finish(leader.node().addPeer({ peerId: 15, storeId: 4, role: "learner" }));
    equal(second?.code, "CONF_CHANGE_BUSY");
    equal(await finish(first), undefined);
  });

  it("refuses changes that make no sense, with a reason", async () => {
    await world.write("one");
    const node = (world.leader() as TestStore).node();
    equal((await finish(node.addPeer({ peerId: 12, storeId: 9, role: "voter" })))?.code, "OPERATION_REFUSED");
    equal((await finish(node.addPeer({ peerId: 12, storeId: 2, role: "learner" })))?.code, "OPERATION_REFUSED");
    const follower = world.stores.find((store) => !store.node().isLeader) as TestStore;
    equal((await finish(follower.node().removePeer(11)))?.code, "NOT_LEADER");
  });

  it("gives a change that the state machine refuses no effect on any replica", async () => {
    await world.write("one");
    for (const store of world.stores) store.machine().accept = ({ changes }) => changes[0]?.action !== "remove";
    const leader = world.leader() as TestStore;
    const victim = world.stores.find((store) => store !== leader) as TestStore;
    const error = await finish(leader.node().removePeer(10 + victim.storeId));
    equal(error?.code, "OPERATION_REFUSED");
    await world.write("two");
    for (const store of world.stores) deepEqual(store.node().status().confState.voters, [11, 12, 13]);
    equal(await finish(leader.node().addPeer({ peerId: 14, storeId: 4, role: "learner" })), undefined);
  });

  it("lets a leader remove itself: it steps down and the others elect", async () => {
    await world.write("one");
    const leader = world.leader() as TestStore;
    equal(await finish(leader.node().removePeer(10 + leader.storeId)), undefined);
    equal(leader.node().isLeader, false);
    const rest = world.stores.filter((store) => store !== leader);
    await world.time.until("a new leader", () => rest.some((store) => store.node().isLeader));
    await world.write("two", rest);
  });

  it("keeps a leader of two voters from removing itself: the other might never hear that it is alone", async () => {
    await world.write("one");
    const leader = world.leader() as TestStore;
    const [other, third] = world.stores.filter((store) => store !== leader) as [TestStore, TestStore];
    equal(await finish(leader.node().removePeer(10 + third.storeId)), undefined);
    equal((await finish(leader.node().removePeer(10 + leader.storeId)))?.code, "OPERATION_REFUSED");
    await world.time.until("the other knows", () => other.node().listPeers().length === 2);
    equal(await finish(leader.node().transferLeadershipTo(10 + other.storeId)), undefined);
    equal(await finish(other.node().removePeer(10 + leader.storeId)), undefined);
    await world.write("two", [other]);
  });

  it("keeps the membership over a restart", async () => {
    await world.write("one");
    await world.addStore();
    const leader = world.leader() as TestStore;
    await finish(leader.node().addPeer({ peerId: 14, storeId: 4, role: "learner" }));
    await world.write("two");
    for (const store of world.stores) store.kill();
    for (const store of world.stores) await store.open();
    await world.write("three");
    for (const store of world.stores) deepEqual(store.node().status().confState.learners, [14]);
  });

  it("serves CliService from any process", async () => {
    await world.write("one");
    const leader = world.leader() as TestStore;
    const { CliMethods, PeerRole } = await import("@rhea/proto");
    const channel = world.net.of("tool").connect(leader.name);
    let peers: number[] = [];
    const ask = async (): Promise<void> => {
      const request = { groupId: 7, peer: { peerId: 14, storeId: 4, role: PeerRole.LEARNER } };
      await channel.unary(CliMethods.AddPeer, request, { timeoutMs: 1_000 });
      const answer = await channel.unary(CliMethods.GetPeers, { groupId: 7 }, { timeoutMs: 1_000 });
      peers = answer.peers.map(({ peerId }) => peerId);
      equal(answer.leader?.storeId, leader.storeId);
    };
    equal(await finish(ask()), undefined);
    deepEqual(peers, [11, 12, 13, 14]);
    const unknown = channel.unary(CliMethods.GetLeader, { groupId: 99 }, { timeoutMs: 1_000 }).then(() => undefined);
    equal((await finish(unknown))?.code, "REGION_NOT_FOUND");
  });
});
