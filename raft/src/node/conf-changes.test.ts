import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { RheaError } from "@rhea/common";
import type { PeerInfo } from "./api.js";
import { TestWorld, type TestStore } from "./test-store.js";
import { settle } from "./test-settle.js";

const voter = (storeId: number, peerId = 10 + storeId): PeerInfo => ({ peerId, storeId, role: "voter" });
const learner = (storeId: number, peerId = 10 + storeId): PeerInfo => ({ peerId, storeId, role: "learner" });

describe("raft host: changes of the configuration", () => {
  let world: TestWorld;

  /** Runs an administrative request to its end and returns its error, if any. */
  async function finish(request: Promise<void>, limitMs?: number): Promise<RheaError | undefined> {
    let outcome: { error: RheaError | undefined } | undefined;
    request.then(
      () => (outcome = { error: undefined }),
      (thrown: unknown) => (outcome = { error: thrown as RheaError }),
    );
    await world.time.until("the request ended", () => outcome !== undefined, limitMs);
    return outcome?.error;
  }

  /** Notes that the request may fail before anybody waits for it. */
  function begun(request: Promise<void>): Promise<void> {
    request.catch(() => undefined);
    return request;
  }

  async function succeed(request: Promise<void>): Promise<void> {
    const error = await finish(request);
    equal(error, undefined, error?.message);
  }

  const roles = (store: TestStore): string =>
    store
      .node()
      .listPeers()
      .map(({ peerId, role }) => `${peerId}${role === "voter" ? "" : "l"}`)
      .join(" ");
  const others = (store: TestStore): TestStore[] => world.stores.filter((other) => other !== store);

  beforeEach(async () => {
    world = new TestWorld(settle);
    await world.start(3);
    await world.write("one");
  });

  afterEach(() => {
    for (const store of world.stores) deepEqual(store.fatal, [], `${store.name} met a fatal error`);
  });

  it("makes a new voter a learner first, and promotes it when it has the log", async () => {
    const fourth = await world.addStore();
    const leader = await world.elected();
    await succeed(leader.node().addPeer(voter(4)));
    deepEqual(leader.node().status().confState.voters, [11, 12, 13, 14]);
    ok(fourth.texts().includes("one"), "it had the log before it voted");
    const configurations = leader.machine().happened.filter((line) => line.startsWith("configuration"));
    deepEqual(configurations, ["configuration 11,12,13,14l", "configuration 11,12,13,14"]);
  });

  it("adds a voter at once where the caller vouches for it", async () => {
    await world.addStore();
    const leader = await world.elected();
    await succeed(leader.node().addPeer(voter(4), { withoutCatchUp: true }));
    const configurations = leader.machine().happened.filter((line) => line.startsWith("configuration"));
    deepEqual(configurations, ["configuration 11,12,13,14"]);
  });

  it("gives up a learner that gets nowhere, says how far it came, and takes it out again", async () => {
    const leader = await world.elected();
    const startMs = world.time.monotonicMs();
    const error = await finish(leader.node().addPeer(voter(9)));
    const tookMs = world.time.monotonicMs() - startMs;
    equal(error?.code, "OPERATION_REFUSED");
    match(
      error.message,
      /addPeer: peer 19 does not catch up: it has nothing of the log, and nothing more came for \d+ ms/,
    );
    ok(tookMs >= 7_900 && tookMs < 12_000, `${tookMs} ms`);
    deepEqual(leader.node().status().confState, {
      voters: [11, 12, 13],
      learners: [],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    });
    await succeed(leader.node().addPeer(learner(9)));
  });

  it("takes no learner out that was there before", async () => {
    const leader = await world.elected();
    await succeed(leader.node().addPeer(learner(9)));
    const error = await finish(leader.node().addPeer(voter(9), { catchUpTimeoutMs: 500 }));
    equal(error?.code, "OPERATION_REFUSED");
    equal(roles(leader), "11 12 13 19l");
  });

  it("refuses every other change while a learner catches up, and serves on", async () => {
    const leader = await world.elected();
    const first = begun(leader.node().addPeer(voter(9), { catchUpTimeoutMs: 2_000 }));
    await world.time.run(300);
    for (const request of [
      () => leader.node().addPeer(learner(8)),
      () => leader.node().removePeer(19),
      () => leader.node().changePeers([voter(1), voter(2)]),
      () => leader.node().addPeer(voter(9)),
    ]) {
      equal((await finish(request()))?.code, "CONF_CHANGE_BUSY");
    }
    await succeed(leader.node().addPeer(voter(1)));
    await world.write("two");
    equal((await finish(first))?.code, "OPERATION_REFUSED");
  });

  it("waits for a learner as long as it gets on, under writes", async () => {
    const leader = await world.elected();
    const fourth = await world.addStore();
    fourth.createsPeers = false;
    const request = begun(leader.node().addPeer(voter(4), { catchUpMargin: 3 }));
    await world.time.run(6_000);
    equal(roles(leader), "11 12 13 14l");
    fourth.createsPeers = true;
    for (let i = 0; i < 20; i++) leader.node().apply({ data: Buffer.from(`w${i}`) });
    await succeed(request);
    await world.write("two");
  });

  it("changes several voters in one joint change, with the new ones caught up first", async () => {
    const [fourth, fifth] = [await world.addStore(), await world.addStore()];
    const leader = await world.elected();
    const leaving = others(leader).find(({ storeId }) => storeId <= 3) as TestStore;
    const staying = [1, 2, 3].filter((id) => id !== leaving.storeId).map((id) => voter(id));
    await succeed(leader.node().changePeers([...staying, voter(4), voter(5)]));
    const voters = [...staying.map(({ peerId }) => peerId), 14, 15].sort((a, b) => a - b);
    deepEqual(leader.node().status().confState, {
      voters,
      learners: [],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    });
    ok(fourth.texts().includes("one") && fifth.texts().includes("one"));
    await world.write("two", [leader, fourth, fifth]);
    await succeed(leader.node().changePeers([...staying, voter(4), voter(5)]));
  });

  it("keeps learners that are not named, demotes and promotes those that are", async () => {
    await world.addStore();
    const leader = await world.elected();
    await succeed(leader.node().addLearners([learner(4), learner(9)]));
    equal(roles(leader), "11 12 13 14l 19l");
    const demoted = others(leader).find(({ storeId }) => storeId <= 3) as TestStore;
    const kept = [1, 2, 3].filter((id) => id !== demoted.storeId).map((id) => voter(id));
    await succeed(leader.node().changePeers([...kept, voter(4), learner(demoted.storeId)]));
    const expected = new Map([11, 12, 13, 14].map((id) => [id, `${id}`]));
    expected.set(10 + demoted.storeId, `${10 + demoted.storeId}l`);
    equal(roles(leader), [...expected.values(), "19l"].join(" "));
    await world.write("two", [leader, demoted]);
  });

  it("replaces the leader too: leadership goes to a voter that stays, within the change", async () => {
    const [fourth, fifth, sixth] = [await world.addStore(), await world.addStore(), await world.addStore()];
    const leader = await world.elected();
    await succeed(leader.node().changePeers([voter(4), voter(5), voter(6)]));
    const next = await world.elected(7, leader);
    equal(next.storeId >= 4, true);
    deepEqual(next.node().status().confState.voters, [14, 15, 16]);
    deepEqual(next.node().status().confState.votersOutgoing, []);
    for (const store of [1, 2, 3]) world.store(store).kill();
    await world.write("two", [fourth, fifth, sixth]);
  });

  it("goes down to one voter that is not the leader, which is then alone", async () => {
    const leader = await world.elected();
    const [last] = others(leader) as [TestStore];
    await succeed(leader.node().changePeers([voter(last.storeId)]));
    for (const store of others(last)) store.kill();
    await world.write("two", [last]);
    deepEqual(last.node().status().confState.voters, [10 + last.storeId]);
  });

  it("finishes a joint configuration when the leader is lost in the middle of it", async () => {
    await world.addStore();
    const leader = await world.elected();
    const goal = [1, 2, 3, 4].filter((id) => id !== leader.storeId).map((id) => voter(id));
    await succeed(leader.node().addPeer(learner(4)));
    await world.time.run(1_000);
    const request = begun(leader.node().changePeers(goal));
    // The moment the joint configuration is in effect at the leader it is killed.
    await world.time.until("joint", () => leader.node().status().confState.votersOutgoing.length > 0);
    leader.kill();
    const error = await finish(request);
    ok(error?.code === "SHUTTING_DOWN" || error === undefined, error?.code);
    const next = await world.elected(7, leader);
    await world.time.until("out of the joint configuration", () => {
      const { voters, votersOutgoing } = next.node().status().confState;
      return votersOutgoing.length === 0 && !voters.includes(10 + leader.storeId);
    });
    await world.write("two", others(leader));
    await leader.open();
    await world.write("three", others(leader));
  });

  it("finishes a joint configuration after all processes were killed in it", async () => {
    await world.addStore();
    const leader = await world.elected();
    await succeed(leader.node().addPeer(learner(4)));
    await world.time.run(1_000);
    const goal = [1, 2, 3, 4].filter((id) => id !== leader.storeId).map((id) => voter(id));
    const request = begun(leader.node().changePeers(goal));
    await world.time.until("joint everywhere", () =>
      world.stores.every((store) => store.node().status().confState.votersOutgoing.length > 0),
    );
    for (const store of world.stores) store.kill();
    await finish(request);
    for (const store of world.stores) await store.open();
    await world.time.until("the change is finished", () =>
      world.stores.some((store) => {
        const { voters, votersOutgoing } = store.node().status().confState;
        return store.node().isLeader && votersOutgoing.length === 0 && !voters.includes(10 + leader.storeId);
      }),
    );
    await world.write("two", others(leader));
  });

  it("leaves no empty entries in the log while an earlier change is not applied", async () => {
    const leader = await world.elected();
    leader.machine().beforeApply = () => new Promise(() => undefined);
    leader.node().apply({ data: Buffer.from("stuck") });
    const first = begun(leader.node().addPeer(learner(4)));
    await world.time.run(500);
    const { lastIndex } = leader.node().status();
    equal((await finish(leader.node().addPeer(learner(5))))?.code, "CONF_CHANGE_BUSY");
    await world.time.run(500);
    equal(leader.node().status().lastIndex, lastIndex);
    leader.kill();
    await finish(first);
  });

  it("tells whoever waits when leadership is lost while a learner catches up", async () => {
    const leader = await world.elected();
    const request = begun(leader.node().addPeer(voter(9)));
    await world.time.run(500);
    const [other] = others(leader) as [TestStore];
    await succeed(leader.node().transferLeadershipTo(10 + other.storeId));
    const error = await finish(request);
    equal(error?.code, "NOT_LEADER");
    equal(error.details.leader?.peerId, 10 + other.storeId);
    // The next leader takes the request up where it was.
    await succeed(other.node().removePeer(19));
  });

  it("does not say that a change failed which the next leader commits", async () => {
    await world.addStore();
    const leader = await world.elected();
    const [a, b] = others(leader) as [TestStore, TestStore];
    // The leader's entry reaches one follower, but no answer comes back.
    world.net.intercept = (path, from, to, bytes) =>
      path.includes("Messages") && to === leader.name && from !== leader.name ? undefined : bytes;
    const request = begun(leader.node().addPeer(learner(4)));
    await world.time.run(400);
    world.net.isolate(leader.name, world.names);
    world.net.intercept = undefined;
    const next = await world.elected(7, leader);
    world.net.heal();
    await world.time.until("the learner is in", () => roles(next).includes("14l"));
    const error = await finish(request);
    ok(error === undefined || error.details.maybeApplied === true, error?.message);
    equal([a, b].includes(next), true);
  });

  it("sets, adds and removes learners", async () => {
    const leader = await world.elected();
    await succeed(leader.node().addLearners([learner(4), learner(5)]));
    await succeed(leader.node().resetLearners([learner(5), learner(6)]));
    equal(roles(leader), "11 12 13 15l 16l");
    await succeed(leader.node().removeLearners([15, 99]));
    await succeed(leader.node().removeLearners([15]));
    await succeed(leader.node().resetLearners([]));
    equal(roles(leader), "11 12 13");
    equal((await finish(leader.node().removeLearners([12])))?.code, "OPERATION_REFUSED");
    equal((await finish(leader.node().addLearners([learner(2)])))?.code, "OPERATION_REFUSED");
    equal((await finish(leader.node().resetLearners([learner(3)])))?.code, "OPERATION_REFUSED");
  });

  it("makes a follower of a learner that has caught up, and of nobody else", async () => {
    await world.addStore();
    const leader = await world.elected();
    await succeed(leader.node().addPeer(learner(4)));
    await succeed(leader.node().learnerToFollower(14));
    await succeed(leader.node().learnerToFollower(14));
    equal(roles(leader), "11 12 13 14");
    equal((await finish(leader.node().learnerToFollower(77)))?.code, "NOT_FOUND");
  });

  it("refuses configurations that make no sense, each with its reason", async () => {
    const leader = await world.elected();
    const node = leader.node();
    const cases: readonly [() => Promise<void>, string, RegExp][] = [
      [() => node.changePeers([]), "OPERATION_REFUSED", /without a voter/],
      [() => node.changePeers([learner(1)]), "OPERATION_REFUSED", /without a voter/],
      [() => node.changePeers([voter(1), voter(1)]), "OPERATION_REFUSED", /named twice/],
      [() => node.changePeers([voter(1), voter(1, 99)]), "OPERATION_REFUSED", /two peers on one store/],
      [() => node.changePeers([voter(9, 11)]), "OPERATION_REFUSED", /peer 11 is on store 1, not 9/],
      [() => node.changePeers([{ peerId: 14, storeId: 0, role: "voter" }]), "INVALID_ARGUMENT", /without its store/],
      [() => node.addPeer(learner(2)), "OPERATION_REFUSED", /votes already/],
    ];
    for (const [request, code, why] of cases) {
      const error = await finish(request());
      equal(error?.code, code);
      match(error.message, why);
    }
    const follower = others(leader)[0] as TestStore;
    const error = await finish(follower.node().changePeers([voter(1)]));
    equal(error?.code, "NOT_LEADER");
    equal(error.details.leader?.storeId, leader.storeId);
  });

  it("gives a peer without an id one that is never given again, and knows it by its store", async () => {
    await world.addStore();
    const leader = await world.elected();
    const nameless: PeerInfo = { peerId: 0, storeId: 4, role: "voter", address: "d.example:4" };
    await succeed(leader.node().addPeer(nameless));
    const first = leader
      .node()
      .listPeers()
      .find(({ storeId }) => storeId === 4);
    ok((first?.peerId ?? 0) > 1_000);
    equal(first?.role, "voter");
    equal(first.address, "d.example:4");
    await succeed(leader.node().addPeer(nameless));
    await succeed(leader.node().removePeer(first.peerId));
    await succeed(leader.node().addPeer({ ...nameless, role: "learner" }));
    const second = leader
      .node()
      .listPeers()
      .find(({ storeId }) => storeId === 4);
    ok((second?.peerId ?? 0) > first.peerId);
  });

  it("tells all members a new address or priority of one of them", async () => {
    const leader = await world.elected();
    await succeed(leader.node().addPeer({ ...voter(2), address: "b:2", priority: 7 }));
    await world.write("two");
    for (const store of world.stores) {
      const told = store
        .node()
        .listPeers()
        .find(({ peerId }) => peerId === 12);
      deepEqual(told, { ...voter(2), address: "b:2", priority: 7 });
    }
    await succeed(leader.node().addPeer(voter(2)));
    const index = leader.node().status().lastIndex;
    await succeed(leader.node().addPeer({ ...voter(2), address: "b:2" }));
    equal(leader.node().status().lastIndex, index);
  });

  it("hands leadership to the voter that follows closest where any will do", async () => {
    const leader = await world.elected();
    const [cut, near] = others(leader) as [TestStore, TestStore];
    world.net.isolate(cut.name, world.names);
    await world.write("two", [leader, near]);
    await world.time.run(1_000);
    await succeed(leader.node().transferLeadershipTo("any"));
    equal(near.node().isLeader, true);
    world.net.isolate(near.name, world.names);
    await world.time.run(3_000);
    const alone = await finish(near.node().transferLeadershipTo("any"));
    ok(alone?.code === "TRANSFER_FAILED" || alone?.code === "NOT_LEADER", alone?.code);
  });

  it("hands no leadership to a voter that is never to be elected, and of equals to the one of higher priority", async () => {
    const leader = await world.elected();
    const [never, low] = others(leader) as [TestStore, TestStore];
    const fourth = await world.addStore();
    await succeed(leader.node().addPeer({ ...voter(4), priority: 9 }));
    await succeed(leader.node().addPeer({ ...voter(never.storeId), priority: 0 }));
    await succeed(leader.node().addPeer({ ...voter(low.storeId), priority: 2 }));
    await world.time.run(1_000);
    await succeed(leader.node().transferLeadershipTo("any"));
    equal(fourth.node().isLeader, true);
  });

  it("lists who is alive, at the leader", async () => {
    await world.addStore();
    const leader = await world.elected();
    await succeed(leader.node().addLearners([learner(4), learner(9)]));
    await world.time.run(1_000);
    const [cut] = others(leader) as [TestStore];
    deepEqual(
      leader
        .node()
        .listAlivePeers()
        .map(({ peerId }) => peerId),
      [11, 12, 13],
    );
    deepEqual(
      leader
        .node()
        .listAliveLearners()
        .map(({ peerId }) => peerId),
      [14],
    );
    cut.kill();
    await world.time.run(2_000);
    ok(
      !leader
        .node()
        .listAlivePeers()
        .some(({ storeId }) => storeId === cut.storeId),
    );
  });
});
