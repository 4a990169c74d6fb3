import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import type { RheaError } from "@rhea/common";
import { CliMethods } from "@rhea/proto";
import type { PeerInfo } from "../node/index.js";
import { TestWorld, type TestStore } from "../node/test-store.js";
import { settle } from "../node/test-settle.js";
import { createCliService, type CliService } from "./cli-service.js";
import { createRouteTable } from "./route-table.js";
import type { Configuration } from "./configuration.js";

const GROUP = 7;
const peer = (storeId: number, role: PeerInfo["role"] = "voter"): PeerInfo => ({
  peerId: 10 + storeId,
  storeId,
  role,
  address: `store-${storeId}`,
});
const THREE: Configuration = [peer(1), peer(2), peer(3)];
const ids = (peers: Configuration): string =>
  peers.map(({ peerId, role }) => `${peerId}${role === "voter" ? "" : "l"}`).join(" ");

describe("CliService client", () => {
  let world: TestWorld;
  let cli: CliService;

  /** Lets time pass until a call has ended. */
  async function run<T>(call: Promise<T>, limitMs = 60_000): Promise<T> {
    let ended = false;
    const note = (): void => {
      ended = true;
    };
    call.then(note, note);
    await world.time.until("the call ended", () => ended, limitMs);
    return call;
  }

  async function failure(call: Promise<unknown>): Promise<RheaError> {
    return run(
      call.then(
        () => {
          throw new Error("the call succeeded");
        },
        (error: unknown) => error as RheaError,
      ),
    );
  }

  const others = (store: TestStore): TestStore[] => world.stores.filter((other) => other !== store);

  beforeEach(async () => {
    world = new TestWorld(settle);
    await world.start(3);
    await world.write("one");
    const { time } = world;
    cli = createCliService({ net: world.net.of("tool"), clock: time, scheduler: time, timeoutMs: 10_000 });
  });

  afterEach(() => {
    cli.close();
    for (const store of world.stores) deepEqual(store.fatal, [], `${store.name} met a fatal error`);
  });

  it("finds the leader by any member's address, and says where it is", async () => {
    const leader = await world.elected();
    for (const one of THREE) {
      const found = await run(cli.getLeader(GROUP, [one]));
      equal(found.storeId, leader.storeId);
      equal(found.address, leader.name);
    }
    equal((await run(cli.getLeader(GROUP, [{ ...peer(9) }, ...THREE]))).storeId, leader.storeId);
  });

  it("changes members, learners and the leader", async () => {
    await world.addStore();
    await world.addStore();
    equal(ids(await run(cli.addPeer(GROUP, THREE, peer(4)))), "11 12 13 14");
    equal(ids(await run(cli.addPeer(GROUP, THREE, peer(4)))), "11 12 13 14");
    equal(ids(await run(cli.addLearners(GROUP, THREE, [peer(5)]))), "11 12 13 14 15l");
    equal(ids(await run(cli.getLearners(GROUP, THREE))), "15l");
    equal(ids(await run(cli.getAliveLearners(GROUP, THREE))), "15l");
    equal(ids(await run(cli.learnerToFollower(GROUP, THREE, peer(5)))), "11 12 13 14 15");
    const moved = await run(cli.changePeers(GROUP, THREE, [peer(3), peer(4), peer(5)]));
    equal(ids(moved.filter(({ role }) => role === "voter")), "13 14 15");
    equal(ids(await run(cli.getPeers(GROUP, [peer(3)]))), "13 14 15");
    await run(cli.transferLeader(GROUP, [peer(3)], peer(5)));
    equal((await run(cli.getLeader(GROUP, [peer(3)]))).peerId, 15);
    await run(cli.transferLeader(GROUP, [peer(3)], "any"));
    ok((await run(cli.getLeader(GROUP, [peer(3)]))).peerId !== 15);
    // By its address, as somebody knows it who was never told an id.
    equal(ids(await run(cli.removePeer(GROUP, [peer(4)], { ...peer(5), peerId: 0 }))), "13 14");
    equal(ids(await run(cli.resetLearners(GROUP, [peer(4)], [peer(5)]))), "13 14 15l");
    equal(ids(await run(cli.removeLearners(GROUP, [peer(4)], [peer(5), peer(9)]))), "13 14");
    equal(ids(await run(cli.resetLearners(GROUP, [peer(4)], []))), "13 14");
  });

  it("takes up a change at the next leader where the first one is replaced by it", async () => {
    const [fourth, fifth] = [await world.addStore(), await world.addStore()];
    const leader = await world.elected();
    const staying = others(leader).find(({ storeId }) => storeId <= 3) as TestStore;
    const peers = [peer(staying.storeId), peer(4), peer(5)];
    const changed = await run(cli.changePeers(GROUP, THREE, peers));
    ok(changed.every(({ storeId }) => storeId !== leader.storeId || changed.length === 3));
    const answer = await run(cli.getPeers(GROUP, peers));
    deepEqual(answer.map(({ storeId }) => storeId).sort(), [staying.storeId, 4, 5].sort());
    await world.write("two", [staying, fourth, fifth]);
  });

  it("repeats a call whose leader is killed, at the one that is elected next", async () => {
    await world.addStore();
    const leader = await world.elected();
    await run(cli.getLeader(GROUP, THREE));
    leader.kill();
    const members = await run(cli.addPeer(GROUP, THREE, peer(4, "learner")));
    equal(ids(members), "11 12 13 14l");
  });

  it("says what every process answered when none leads in time", async () => {
    const leader = await world.elected();
    for (const store of others(leader)) store.kill();
    await world.time.until("it noticed", () => leader.node().leaderId === 0);
    const startMs = world.time.monotonicMs();
    const error = await failure(cli.addPeer(GROUP, THREE, peer(4), { timeoutMs: 3_000 }));
    equal(error.code, "LEADER_NOT_AVAILABLE");
    match(error.message, /group 7: no leader found within 3000 ms/);
    match(error.message, new RegExp(`${leader.name}: LEADER_NOT_AVAILABLE`));
    match(error.message, /UNAVAILABLE: connect ECONNREFUSED/);
    const tookMs = world.time.monotonicMs() - startMs;
    ok(tookMs >= 3_000 && tookMs < 3_500, `${tookMs} ms`);
  });

  it("passes the leader's refusals on, with their codes, and does not repeat them", async () => {
    const first = cli.addPeer(GROUP, THREE, peer(9), { catchUpTimeoutMs: 2_000 });
    await world.time.run(500);
    equal((await failure(cli.removePeer(GROUP, THREE, peer(1)))).code, "CONF_CHANGE_BUSY");
    equal((await failure(first)).code, "OPERATION_REFUSED");
    equal((await failure(cli.learnerToFollower(GROUP, THREE, peer(9)))).code, "NOT_FOUND");
    equal((await failure(cli.changePeers(GROUP, THREE, [peer(1, "learner")]))).code, "OPERATION_REFUSED");
    equal((await failure(cli.getPeers(99, THREE, { timeoutMs: 500 }))).code, "LEADER_NOT_AVAILABLE");
    equal((await failure(cli.getPeers(GROUP, "nonsense"))).code, "INVALID_ARGUMENT");
    equal((await failure(cli.getPeers(GROUP, [{ peerId: 11, storeId: 1, role: "voter" }]))).code, "INVALID_ARGUMENT");
  });

  it("resets one peer by force, and refuses where another one is there", async () => {
    const leader = await world.elected();
    const [left, lost] = others(leader) as [TestStore, TestStore];
    equal((await failure(cli.resetPeer(GROUP, peer(left.storeId), [peer(left.storeId)]))).code, "OPERATION_REFUSED");
    leader.kill();
    lost.kill();
    await world.time.until("it noticed", () => left.node().leaderId === 0);
    const wrong = { ...peer(left.storeId), peerId: 99 };
    equal((await failure(cli.resetPeer(GROUP, wrong, [peer(left.storeId)]))).code, "NOT_FOUND");
    const nameless = { ...peer(left.storeId), peerId: 0 };
    equal(ids(await run(cli.resetPeer(GROUP, nameless, [nameless]))), String(10 + left.storeId));
    equal((await run(cli.getLeader(GROUP, THREE))).storeId, left.storeId);
  });

  it("saves a snapshot at one peer", async () => {
    const follower = others(await world.elected())[0] as TestStore;
    const { index } = await run(cli.snapshot(GROUP, peer(follower.storeId)));
    ok(index > 0 && index <= follower.node().applied);
  });

  it("spreads the leaders of several groups", async () => {
    const groups = [21, 22, 23, 24, 25, 26];
    const peers = THREE.map(({ peerId, storeId, role }) => ({ peerId, storeId, role }));
    for (const groupId of groups) for (const store of world.stores) store.addGroup(groupId, 10 + store.storeId, peers);
    for (const groupId of groups) {
      await world.elected(groupId);
      await run(cli.transferLeader(groupId, THREE, peer(1)));
    }
    const { leaders, failed } = await run(cli.rebalance(groups, THREE));
    equal(failed.size, 0);
    const counts = new Map<number, number>();
    for (const { storeId } of leaders.values()) counts.set(storeId, (counts.get(storeId) ?? 0) + 1);
    deepEqual([...counts.values()], [2, 2, 2]);
    for (const [groupId, { storeId }] of leaders) {
      equal((await run(cli.getLeader(groupId, THREE))).storeId, storeId, `group ${groupId}`);
    }
  });

  it("ends calls when it is closed", async () => {
    for (const store of world.stores) store.kill();
    const call = failure(cli.getLeader(GROUP, THREE));
    await world.time.run(200);
    cli.close();
    equal((await call).code, "SHUTTING_DOWN");
    equal((await failure(cli.getLeader(GROUP, THREE))).code, "SHUTTING_DOWN");
  });

  it("keeps routes: leader and members are asked for, hints are taken, groups are forgotten", async () => {
    const table = createRouteTable(cli);
    await rejects(table.refreshLeader(GROUP), { code: "NOT_FOUND" });
    table.updateConfiguration(GROUP, THREE);
    equal(table.selectLeader(GROUP), undefined);
    const leader = await world.elected();
    const [a, b] = await run(Promise.all([table.refreshLeader(GROUP), table.refreshLeader(GROUP)]));
    equal(a, b);
    equal(table.selectLeader(GROUP)?.storeId, leader.storeId);
    await run(cli.addLearners(GROUP, THREE, [peer(9)]));
    equal(ids(await run(table.refreshConfiguration(GROUP))), "11 12 13 19l");
    equal(ids(table.configuration(GROUP) ?? []), "11 12 13 19l");
    table.updateLeader(GROUP, peer(2));
    equal(table.selectLeader(GROUP)?.storeId, 2);
    table.updateConfiguration(GROUP, [peer(1)]);
    equal(table.selectLeader(GROUP), undefined);
    table.updateConfiguration(3, "a:1,b:2");
    deepEqual(table.groups(), [3, 7]);
    equal(table.removeGroup(3), true);
    equal(table.removeGroup(3), false);
    equal(table.configuration(3), undefined);
  });

  it("is refused by the server where a request lacks what it needs", async () => {
    const leader = await world.elected();
    const channel = world.net.of("tool").connect(leader.name);
    const groupId = GROUP;
    const cases: readonly [keyof typeof CliMethods, object, RegExp][] = [
      ["GetLeader", {}, /names no group/],
      ["AddPeer", { groupId }, /names no peer/],
      ["AddPeer", { groupId, peer: { peerId: 14 } }, /needs a store id/],
      ["AddPeer", { groupId, peer: {} }, /neither id, store nor address/],
      ["RemovePeer", { groupId }, /names no peer/],
      ["ChangePeers", { groupId }, /names no peers/],
      ["ChangePeers", { groupId, peers: [{ peerId: 11 }] }, /needs a store id/],
      ["ResetPeers", { groupId }, /names no peers/],
      ["AddLearners", { groupId }, /names no peers/],
      ["RemoveLearners", { groupId, peers: [{}] }, /neither id, store nor address/],
      ["LearnerToFollower", { groupId }, /names no peer/],
      ["TransferLeader", { groupId }, /names no peer/],
    ];
    for (const [name, request, why] of cases) {
      const error = await failure(channel.unary(CliMethods[name], request, { timeoutMs: 1_000 }));
      equal(error.code, "INVALID_ARGUMENT", `${name}: ${error.message}`);
      match(error.message, why, name);
    }
  });
});
