import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { RheaError } from "@rhea/common";
import { generationOf, makeMessage } from "../core/index.js";
import type { Entry, Message } from "../core/types.js";
import type { GroupLog } from "../log/api.js";
import type { PeerInfo } from "./api.js";
import { judgeAfterReset } from "./reset-peers.js";
import { TestWorld, type TestStore } from "./test-store.js";
import { settle } from "./test-settle.js";

const voter = (storeId: number): PeerInfo => ({ peerId: 10 + storeId, storeId, role: "voter" });

describe("raft host: a configuration set by force", () => {
  let world: TestWorld;

  async function finish(request: Promise<void>): Promise<RheaError | undefined> {
    let outcome: { error: RheaError | undefined } | undefined;
    request.then(
      () => (outcome = { error: undefined }),
      (thrown: unknown) => (outcome = { error: thrown as RheaError }),
    );
    await world.time.until("the request ended", () => outcome !== undefined);
    return outcome?.error;
  }

  async function succeed(request: Promise<void>): Promise<void> {
    const error = await finish(request);
    equal(error, undefined, error?.message);
  }

  /** Cuts two of three off, and lets the third, which is returned, notice that it has no quorum. */
  async function loseQuorum(): Promise<{ left: TestStore; lost: [TestStore, TestStore] }> {
    const left = await world.elected();
    const lost = world.stores.filter((store) => store !== left) as [TestStore, TestStore];
    world.net.isolate(left.name, world.names);
    await world.time.until("no leader", () => left.node().leaderId === 0);
    return { left, lost };
  }

  const writeAlone = async (store: TestStore, text: string): Promise<void> => {
    await world.time.until("it leads", () => store.node().isLeader);
    store.node().apply({ data: Buffer.from(text) });
    await world.time.until(`"${text}" applied`, () => store.texts().includes(text));
  };

  beforeEach(async () => {
    world = new TestWorld(settle);
    await world.start(3);
    await world.write("one");
  });

  afterEach(() => {
    for (const store of world.stores) deepEqual(store.fatal, [], `${store.name} met a fatal error`);
  });

  it("makes one of three lead alone, with all it has, and lets new members join", async () => {
    const { left } = await loseQuorum();
    await succeed(left.node().resetPeers([voter(left.storeId)]));
    deepEqual(left.node().status().confState.voters, [10 + left.storeId]);
    await writeAlone(left, "two");
    deepEqual(left.texts(), ["one", "two"]);
    ok(left.machine().happened.includes(`configuration ${10 + left.storeId}`));
    world.net.heal();
    const fourth = await world.addStore();
    await succeed(left.node().addPeer(voter(4)));
    await world.time.until("the new member has it all", () => fourth.texts().includes("two"));
  });

  it("does nothing where it is as asked for, and keeps it over a restart", async () => {
    const { left } = await loseQuorum();
    await succeed(left.node().resetPeers([voter(left.storeId)]));
    await writeAlone(left, "two");
    const term = left.node().term;
    await succeed(left.node().resetPeers([voter(left.storeId)]));
    equal(left.node().term, term);
    left.kill();
    await left.open();
    await writeAlone(left, "three");
    deepEqual(left.texts(), ["one", "two", "three"]);
    deepEqual(left.node().status().confState.voters, [10 + left.storeId]);
  });

  it("is in effect after a crash between its record and its application, and not at all after one before", async () => {
    const { left } = await loseQuorum();
    const before = left.disk.clone();
    const data = new Map([...left.data].map(([id, kept]) => [id, { ...kept, texts: [...kept.texts] }]));
    left.machine().beforeApply = () => new Promise(() => undefined);
    const lastIndex = left.node().status().lastIndex;
    const request = left.node().resetPeers([voter(left.storeId)]);
    await world.time.until("its record is durable", () => left.log.group(7)?.hardState.commit === lastIndex + 1);
    await world.time.run(1);
    left.kill();
    await finish(request);
    await left.open();
    await writeAlone(left, "two");
    deepEqual(left.node().status().confState.voters, [10 + left.storeId]);

    left.kill();
    left.disk = before;
    left.data = data;
    await left.open();
    await world.time.run(5_000);
    equal(left.node().isLeader, false);
    deepEqual(left.node().status().confState.voters, [11, 12, 13]);
  });

  it("does not ask the state machine whether it agrees", async () => {
    const { left } = await loseQuorum();
    const asked: boolean[] = [];
    left.machine().accept = ({ isForced }) => {
      asked.push(isForced);
      return false;
    };
    await succeed(left.node().resetPeers([voter(left.storeId)]));
    deepEqual(asked, [true]);
    deepEqual(left.data.get(7)?.confState.voters, [10 + left.storeId]);
    await writeAlone(left, "two");
  });

  it("keeps what was in the log uncommitted", async () => {
    const leader = await world.elected();
    world.net.isolate(leader.name, world.names);
    leader.node().apply({ data: Buffer.from("late") });
    await world.time.until("no leader", () => leader.node().leaderId === 0);
    await succeed(leader.node().resetPeers([voter(leader.storeId)]));
    deepEqual(leader.texts(), ["one", "late"]);
  });

  it("is refused where there is a leader, or the list makes no sense", async () => {
    const leader = await world.elected();
    const follower = world.stores.find((store) => store !== leader) as TestStore;
    for (const store of [leader, follower]) {
      const error = await finish(store.node().resetPeers([voter(store.storeId)]));
      equal(error?.code, "OPERATION_REFUSED");
      match(error.message, /leads it/);
    }
    const { left, lost } = await loseQuorum();
    const cases: readonly [PeerInfo[], RegExp][] = [
      [[voter(lost[0].storeId)], /is here and not in the list/],
      [[{ ...voter(left.storeId), role: "learner" }, voter(lost[0].storeId)], /would not vote/],
      [[voter(left.storeId), { peerId: 0, storeId: 9, role: "voter" }], /store 9 is no member, and has no id/],
      [[voter(left.storeId), { ...voter(lost[0].storeId), storeId: 9 }], /not 9/],
    ];
    for (const [peers, why] of cases) match((await finish(left.node().resetPeers(peers)))?.message ?? "", why);
    equal((await finish(left.node().resetPeers([])))?.code, "OPERATION_REFUSED");
  });

  it("is refused when a leader shows itself while it waits", async () => {
    const { left } = await loseQuorum();
    const request = left.node().resetPeers([voter(left.storeId)]);
    await world.time.run(300);
    world.net.heal();
    equal((await finish(request))?.code, "OPERATION_REFUSED");
    await world.write("two");
  });

  it("does not hear old members that come back with a quorum of their own", async () => {
    const { left, lost } = await loseQuorum();
    const other = await world.elected(7, left);
    await world.write("theirs", lost);
    await succeed(left.node().resetPeers([voter(left.storeId)]));
    await writeAlone(left, "ours");
    const term = left.node().term;
    world.net.heal();
    await world.time.run(20_000);
    equal(left.node().isLeader, true);
    equal(left.node().term, term);
    await writeAlone(left, "more");
    deepEqual(left.texts(), ["one", "ours", "more"]);
    // They never learn the new terms, so they cannot outbid them.
    ok(lost.every((store) => generationOf(store.node().term) === 0));
    ok(other.node().status().error === undefined);
    for (const store of lost) store.kill();
    for (const store of lost) await store.open();
    await world.time.run(10_000);
    equal(left.node().term, term);
  });

  it("takes back a listed member that lacks nothing, and its uncommitted tail goes", async () => {
    const leader = await world.elected();
    const [a, b] = world.stores.filter((store) => store !== leader) as [TestStore, TestStore];
    // `leader` has a tail of its own when it is lost, and so is `b`.
    world.net.isolate(leader.name, world.names);
    leader.node().apply({ data: Buffer.from("lost tail") });
    await world.time.run(200);
    leader.kill();
    b.kill();
    await world.time.until("no leader", () => a.node().leaderId === 0);
    await succeed(a.node().resetPeers([voter(a.storeId), voter(leader.storeId)]));
    world.net.heal();
    await leader.open();
    await world.write("two", [a, leader]);
    deepEqual(leader.texts(), ["one", "two"]);
    equal(leader.node().status().error, undefined);
  });

  it("stops a listed member that had committed what the reset left out", async () => {
    const { left, lost } = await loseQuorum();
    const [first, second] = lost;
    await world.elected(7, left);
    for (let i = 0; i < 5; i++) await world.write(`theirs ${i}`, lost);
    for (const store of lost) store.kill();
    await succeed(left.node().resetPeers([voter(left.storeId), voter(first.storeId)]));
    world.net.heal();
    await first.open();
    await world.time.until("it stopped", () => first.node().status().error !== undefined);
    equal(first.node().status().error?.code, "STALE_IDENTITY");
    match(first.node().status().error?.message ?? "", /remove it and add a new one/);
    ok(!left.texts().includes("theirs 0"));
    equal(left.node().status().error, undefined);
    await second.open();
    await world.time.run(5_000);
    equal(left.node().status().error, undefined);
  });
});

describe("messages after a reset, at a peer of the old history", () => {
  const T = 256 * 2 ** 32;
  /** A log of terms; the first is at `truncatedIndex`. */
  function logOf(truncatedIndex: number, ...terms: number[]): GroupLog {
    return {
      truncatedIndex,
      truncatedTerm: terms[0],
      lastIndex: truncatedIndex + terms.length - 1,
      term: (index: number) => terms[index - truncatedIndex],
    } as unknown as GroupLog;
  }
  const entry = (index: number, term: number): Entry => ({ index, term, type: "normal", data: Buffer.alloc(0) });
  const app = (index: number, logTerm: number, ...entries: Entry[]): Message =>
    makeMessage({ type: "app", to: 2, index, logTerm, entries }, 1, T + 1);
  const snap = (index: number): Message => {
    const confState = { voters: [1], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    const snapshot = { metadata: { index, term: T, confState }, data: Buffer.alloc(0) };
    return makeMessage({ type: "snap", to: 2, snapshot }, 1, T + 1);
  };

  it("are judged by what is committed there", () => {
    // Indexes 5..9 with terms 1 1 2 2 2; the reset's entry is at 8.
    const log = logOf(5, 1, 1, 2, 2, 2);
    const cases: readonly [string, Message, number, string][] = [
      ["nothing committed from the reset on", app(7, 2, entry(8, T), entry(9, T + 1)), 7, "fits"],
      ["a conflict with a committed entry", app(7, 2, entry(8, T)), 8, "cutOff"],
      ["a committed entry before that is another one", app(7, 1, entry(8, T)), 7, "cutOff"],
      ["a probe behind the committed entries", app(9, T + 1), 8, "fits"],
      ["a probe at a committed entry that is another one", app(8, T), 8, "cutOff"],
      ["a page that ends before the commit index", app(5, 1, entry(6, 1)), 8, "drop"],
      ["an empty probe before the commit index", app(6, 1), 7, "drop"],
      ["before the log, of a later term than any there", app(3, 1, entry(4, T)), 7, "drop"],
      ["before the log, at a later term", app(3, 2, entry(4, T)), 7, "cutOff"],
      ["committed beyond what the log is told of", app(7, 2, entry(8, T)), 12, "drop"],
      ["a snapshot beyond the commit index", snap(10), 9, "fits"],
      ["a snapshot that would bring nothing", snap(9), 9, "cutOff"],
      ["heartbeats", makeMessage({ type: "heartbeat", to: 2, commit: 3 }, 1, T + 1), 9, "fits"],
    ];
    for (const [what, message, committed, verdict] of cases) {
      equal(judgeAfterReset(message, log, committed), verdict, what);
    }
  });

  it("fit a log that has the reset", () => {
    equal(judgeAfterReset(app(7, 1, entry(8, T + 3)), logOf(5, 1, 1, 2, T), 8), "fits");
  });

  it("fit where there never was a reset", () => {
    const message = makeMessage({ type: "app", to: 2, index: 7, logTerm: 9, entries: [entry(8, 9)] }, 1, 9);
    equal(judgeAfterReset(message, logOf(5, 1, 1, 2, 2, 2), 9), "fits");
  });
});
