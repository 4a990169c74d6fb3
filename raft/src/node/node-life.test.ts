import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import { RaftMethods } from "@rhea/proto";
import type { ReplicatorChange } from "./api.js";
import { settle } from "./test-settle.js";
import { TestWorld, type TestStore } from "./test-store.js";

describe("raft node: what its user sees", () => {
  let world: TestWorld;
  const others = (store: TestStore): TestStore[] => world.stores.filter((other) => other !== store);
  const events = (changes: readonly ReplicatorChange[]): string[] =>
    changes.map(({ peer, state }) => `${peer.peerId} ${state}`);

  beforeEach(() => {
    world = new TestWorld(settle);
  });

  it("tells proposers of the commit before the entry is applied, on the proposer only", async () => {
    await world.start(3);
    await world.write("zero");
    const leader = await world.elected();
    const happened: string[] = [];
    leader.machine().beforeApply = (entries) => {
      for (const { data } of entries) if (data.length > 0) happened.push(`apply ${Buffer.from(data).toString()}`);
      return undefined;
    };
    const onCommitted = (index: number, term: number): void => {
      happened.push(`committed ${index} in term ${term}`);
    };
    const { applied, term } = leader.node();
    leader.node().apply({ data: Buffer.from("a"), onCommitted });
    await world.write("b");
    const [first, ...rest] = happened;
    equal(first, `committed ${applied + 1} in term ${term}`);
    deepEqual(rest, ["apply a", "apply b"]);
  });

  it("goes on when what a proposer does on commit throws, and says so", async () => {
    await world.start(1);
    const leader = await world.elected();
    const onCommitted = (): void => {
      throw new Error("not my day");
    };
    leader.node().apply({ data: Buffer.from("a"), onCommitted });
    await world.write("b");
    deepEqual(leader.texts(), ["a", "b"]);
    ok(leader.lines.some((line) => line.includes("not my day")));
  });

  it("lets proposals wait for room, in order, until their deadline", async () => {
    await world.start(3, [7], { maxPendingProposals: 2 });
    const leader = await world.elected();
    await world.write("first");
    for (const store of others(leader)) world.net.isolate(store.name, world.names);
    const node = leader.node();
    const propose = (text: string, deadlineMs: number): void => {
      node.apply({ data: Buffer.from(text), context: text, onBusy: "wait", deadlineMs });
    };
    for (const text of ["a", "b", "c"]) propose(text, 100_000);
    propose("late", 200);
    throws(
      () => {
        node.apply({ data: Buffer.from("x") });
      },
      { code: "SERVER_BUSY" },
    );
    equal(node.metrics().proposals.waitingForRoom, 2);
    await world.time.run(400);
    deepEqual(
      leader.machine().dropped.map(({ context, code }) => `${String(context)} ${code}`),
      ["late SERVER_BUSY"],
    );
    world.net.heal();
    await world.time.until("applied", () => leader.texts().includes("c"));
    deepEqual(
      leader.texts().filter((text) => text.length === 1),
      ["a", "b", "c"],
    );
  });

  it("pairs following and leading, over an election and a shutdown", async () => {
    await world.start(3);
    const leader = await world.elected();
    await world.write("one");
    const [follower, other] = others(leader) as [TestStore, TestStore];
    const told: string[] = [];
    for (const store of [follower, other]) {
      const machine = store.machine();
      Object.assign(machine, {
        onStartFollowing: (peer: number, term: number) => told.push(`${store.storeId} follows ${peer} in ${term}`),
        onStopFollowing: (peer: number, term: number) => told.push(`${store.storeId} leaves ${peer} in ${term}`),
        onLeaderStart: (term: number) => told.push(`${store.storeId} leads ${term}`),
        onLeaderStop: () => told.push(`${store.storeId} stops`),
      });
    }
    const old = leader.node().term;
    leader.kill();
    const next = await world.elected(7, leader);
    const last = next === follower ? other : follower;
    await world.write("two");
    const term = next.node().term;
    const leaderPeer = 10 + leader.storeId;
    const of = (store: TestStore): string[] => told.filter((what) => what.startsWith(`${store.storeId} `));
    deepEqual(of(next), [`${next.storeId} leaves ${leaderPeer} in ${old}`, `${next.storeId} leads ${term}`]);
    deepEqual(of(last), [
      `${last.storeId} leaves ${leaderPeer} in ${old}`,
      `${last.storeId} follows ${10 + next.storeId} in ${term}`,
    ]);
    last.node().shutdown();
    next.node().shutdown();
    equal(of(next).at(-1), `${next.storeId} stops`);
    equal(of(last).at(-1), `${last.storeId} leaves ${10 + next.storeId} in ${term}`);
  });

  it("tells how replication goes: peers that come, fall silent, come back and are removed", async () => {
    const changes: ReplicatorChange[] = [];
    world.onReplicator = (change) => changes.push(change);
    await world.start(3);
    const leader = await world.elected();
    await world.write("one");
    await world.time.run(2_000);
    const [a, b] = others(leader).map((store) => 10 + store.storeId) as [number, number];
    deepEqual(new Set(events(changes)), new Set([`${a} created`, `${a} online`, `${b} created`, `${b} online`]));
    changes.length = 0;
    const away = world.store(a - 10);
    world.net.isolate(away.name, world.names);
    await world.time.run(5_000);
    deepEqual(events(changes), [`${a} offline`]);
    world.net.heal();
    await world.time.until("back", () => events(changes).includes(`${a} online`));
    await world.time.run(3_000);
    changes.length = 0;
    let isRemoved = false;
    void leader
      .node()
      .removePeer(b)
      .then(() => {
        isRemoved = true;
      });
    await world.time.until("removed", () => isRemoved);
    await world.time.run(2_000);
    deepEqual(events(changes), [`${b} destroyed`]);
    changes.length = 0;
    leader.node().shutdown();
    deepEqual(events(changes), [`${a} destroyed`]);
  });

  it("reads committed user entries back: the one asked for or the next", async () => {
    await world.start(3, [7], { maxLogEntries: 1_000 });
    const leader = await world.elected();
    await world.time.until("begun", () => leader.node().applied === 2);
    const first = leader.node().applied;
    await world.write("a");
    await world.write("b");
    const node = leader.node();
    const text = (index: number): string => {
      const log = node.readCommittedUserLog(index);
      return `${log.index} ${Buffer.from(log.data).toString()}`;
    };
    equal(text(first + 1), `${first + 1} a`);
    equal(text(first + 2), `${first + 2} b`);
    // The entry with which the leader began is none of a user.
    equal(text(first), `${first + 1} a`);
    throws(() => node.readCommittedUserLog(first + 3), { code: "INVALID_ARGUMENT", message: /not committed yet/ });
    throws(() => node.readCommittedUserLog(0), { code: "INVALID_ARGUMENT" });
    await world.time.until("the log was cut", () => node.status().truncatedIndex >= first + 2, 60_000);
    throws(() => node.readCommittedUserLog(first + 1), { code: "NOT_FOUND", message: /begins at/ });
  });

  it("has figures, and says them in words", async () => {
    await world.start(3);
    const leader = await world.elected();
    await world.write("a");
    await world.write("bb");
    const [slow] = others(leader) as [TestStore];
    world.net.isolate(slow.name, world.names);
    await world.write("ccc", others(slow));
    const { proposals, apply, replication, applied, committed, snapshots } = leader.node().metrics();
    deepEqual([proposals.proposed, proposals.proposedBytes, proposals.applied, proposals.pending], [3, 6, 3, 0]);
    ok(apply.batches > 0 && apply.entries >= 4 && apply.bytes >= 6);
    deepEqual([applied, snapshots.sent], [committed, 0]);
    equal(replication.length, 2);
    equal(replication.find(({ storeId }) => storeId === slow.storeId)?.lag, 1);
    equal(slow.node().metrics().proposals.proposed, 0);
    deepEqual(slow.node().metrics().replication, []);
    const text = leader.node().describe();
    match(text, /group 7 peer \d+: leader, term \d+/);
    match(text, new RegExp(`to peer ${10 + slow.storeId} on store ${slow.storeId} \\(voter\\): \\w+, 1 behind`));
    match(text, /3 made, 0 dropped/);
  });

  it("shuts down after the call of its state machine that is under way, answers who waits, and may start again", async () => {
    await world.start(1);
    const store = world.store(1);
    await world.write("one");
    let release: () => void = () => undefined;
    store.machine().beforeApply = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    const node = store.node();
    node.apply({ data: Buffer.from("two"), context: "two" });
    await world.time.run(100);
    let stops = 0;
    Object.assign(store.machine(), { onShutdown: () => stops++ });
    const read = node.readIndex();
    node.shutdown();
    node.shutdown();
    await rejects(read, { code: "SHUTTING_DOWN" });
    equal(node.status().state, "shutting");
    equal(stops, 0);
    throws(
      () => {
        node.apply({ data: Buffer.from("x") });
      },
      { code: "SHUTTING_DOWN" },
    );
    equal(store.host.group(7), undefined);
    release();
    await node.join();
    equal(node.status().state, "shutdown");
    equal(stops, 1);
    const data = store.data.get(7);
    ok(data !== undefined);
    const { groupId, peerId, confState, peers, applied } = data;
    const stateMachine = store.machine();
    stateMachine.beforeApply = undefined;
    store.host.createGroup({ groupId, peerId, stateMachine, applied, confState, peers });
    await world.write("three");
    deepEqual(store.texts(), ["one", "two", "three"]);
  });

  describe("an exception of the state machine puts the node in error for good", () => {
    for (const kind of ["thrown", "rejected"] as const) {
      it(`${kind} by onApply: with the entry's index, and the others go on`, async () => {
        await world.start(3);
        const leader = await world.elected();
        await world.write("one");
        const [broken] = others(leader) as [TestStore];
        broken.machine().beforeApply = () => {
          if (kind === "thrown") throw new Error("cannot");
          return Promise.reject(new Error("cannot"));
        };
        const at = leader.node().applied + 1;
        await world.write("two", others(broken));
        await world.time.run(500);
        const { state, error } = broken.node().status();
        equal(state, "error");
        match(error?.message ?? "", new RegExp(`applying entries ${at} to ${at} failed: cannot`));
        deepEqual(broken.texts(), ["one"]);
        await world.write("three", others(broken));
        deepEqual(broken.texts(), ["one"]);
        await rejects(broken.node().readIndex(), { message: /cannot/ });
      });
    }

    it("thrown by onConfigurationCommitted", async () => {
      await world.start(3);
      const leader = await world.elected();
      await world.write("one");
      const [broken, healthy] = others(leader) as [TestStore, TestStore];
      const { applied } = leader.node();
      Object.assign(broken.machine(), {
        onConfigurationCommitted: () => {
          throw new Error("no such peer");
        },
      });
      void leader
        .node()
        .removePeer(10 + healthy.storeId)
        .catch(() => undefined);
      await world.time.until("in error", () => broken.node().status().state === "error");
      match(
        broken.node().status().error?.message ?? "",
        new RegExp(`membership change at ${applied + 1} failed: no such`),
      );
    });

    it("rejected by onSnapshotLoad", async () => {
      await world.start(3, [7], { maxLogEntries: 20 });
      const leader = await world.elected();
      const [behind] = others(leader) as [TestStore];
      behind.kill();
      for (let i = 0; i < 30; i++) await world.write(`w${i}`, [leader]);
      await world.time.until("the log was cut", () => leader.node().status().truncatedIndex > 15, 60_000);
      await behind.open({ maxLogEntries: 20 });
      behind.machine().beforeLoad = () => Promise.reject(new Error("cannot read it"));
      await world.time.until("in error", () => behind.node().status().state === "error");
      match(behind.node().status().error?.message ?? "", /loading the snapshot at \d+ failed: cannot read it/);
    });
  });

  it("removes the staged snapshot of a peer that is destroyed before it was loaded", async () => {
    await world.start(3, [7], { maxLogEntries: 20 });
    const leader = await world.elected();
    const [behind] = others(leader) as [TestStore];
    behind.kill();
    for (let i = 0; i < 30; i++) await world.write(`w${i}`, [leader]);
    await world.time.until("the log was cut", () => leader.node().status().truncatedIndex > 15, 60_000);
    await behind.open({ maxLogEntries: 20 });
    let release: () => void = () => undefined;
    behind.machine().beforeLoad = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    await world.time.until("installed", () => behind.log.group(7)?.pendingInstall !== undefined);
    await world.time.run(50);
    equal((await behind.disk.list("snapshots")).length, 1);
    behind.createsPeers = false;
    void behind.host.destroyGroup(7, { confVer: 9, version: 1 });
    await world.time.run(100);
    release();
    await world.time.run(100);
    deepEqual(await behind.disk.list("snapshots"), []);
    deepEqual(behind.fatal, []);
  });

  it("refuses a snapshot for which there is no space, cleans up, and takes it when there is", async () => {
    await world.start(3, [7], { maxLogEntries: 20 });
    const leader = await world.elected();
    const [behind] = others(leader) as [TestStore];
    behind.kill();
    for (let i = 0; i < 30; i++) await world.write(`w${i}`, [leader]);
    await world.time.until("the log was cut", () => leader.node().status().truncatedIndex > 15, 60_000);
    let isFull = true;
    behind.disk.intercept = (call, path) => {
      if (isFull && call === "write" && path.startsWith("snapshots/")) {
        throw Object.assign(new Error("write"), { code: "ENOSPC" });
      }
    };
    await behind.open({ maxLogEntries: 20 });
    await world.time.until("refused", () => behind.lines.some((line) => line.includes("DISK_FULL")));
    await world.time.until("told", () => leader.lines.some((line) => line.includes("DISK_FULL")));
    isFull = false;
    await world.time.until("caught up", () => behind.texts().length === 30);
    await world.time.run(100);
    deepEqual(await behind.disk.list("snapshots"), []);
  });

  it("sends snapshots no faster than the limit of the host", async () => {
    const limits = { maxLogEntries: 20, maxSnapshotBytesPerSecond: 100_000 };
    await world.start(3, [7], limits);
    const leader = await world.elected();
    const [behind] = others(leader) as [TestStore];
    behind.kill();
    for (let i = 0; i < 30; i++) await world.write(`${i} ${"x".repeat(10_000)}`, [leader]);
    await world.time.until("the log was cut", () => leader.node().status().truncatedIndex > 15, 60_000);
    await behind.open(limits);
    let startMs = 0;
    world.net.intercept = (path, _from, to, bytes) => {
      if (path === RaftMethods.Snapshot.path && to === behind.name && startMs === 0) startMs = world.time.monotonicMs();
      return bytes;
    };
    await world.time.until("caught up", () => behind.texts().length === 30);
    const tookMs = world.time.monotonicMs() - startMs;
    ok(tookMs > 1_500 && tookMs < 6_000, `${tookMs} ms for 300,000 bytes at 100,000 per second`);
  });
});
