import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { fileSnapshotStorage } from "../snapshot/index.js";
import type { SnapshotOptions } from "./api.js";
import { settle } from "./test-settle.js";
import { TestWorld, type TestStore } from "./test-store.js";

type Options = Omit<SnapshotOptions, "storage">;

/** No snapshot by itself. */
const BY_HAND: Options = { intervalMs: 0, logEntries: 0, logBytes: 0 };
const LIMITS = { maxLogEntries: 50 };

describe("raft host: state machines in memory", () => {
  let world: TestWorld;

  async function start(snapshots: Options, count = 3): Promise<void> {
    world = new TestWorld(settle);
    world.snapshots = snapshots;
    await world.start(count, [7], LIMITS);
  }

  /** What the storage of a store holds: indexes, newest first. */
  async function stored(store: TestStore): Promise<number[]> {
    const storage = fileSnapshotStorage({ disk: store.disk.clone(), directory: "state/7" });
    const { snapshots } = await storage.open({ groupId: 7, peerId: 10 + store.storeId });
    return snapshots.map(({ saved }) => saved.index);
  }

  /** Lets time pass until a promise is settled. */
  async function driven<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settled = (): void => {
      isSettled = true;
    };
    promise.then(settled, settled);
    await world.time.until("the promise is settled", () => isSettled);
    return promise;
  }

  const save = (store: TestStore): Promise<{ readonly index: number }> => driven(store.node().snapshot());

  async function restart(store: TestStore): Promise<void> {
    store.kill();
    await store.open(LIMITS);
    await driven(store.node().started());
  }

  const damage = (store: TestStore, pattern: RegExp): void => {
    for (const [path, { bytes }] of store.disk.files) if (pattern.test(path)) bytes[0] = (bytes[0] ?? 0) ^ 1;
  };

  const writeMany = async (count: number, prefix = "w"): Promise<void> => {
    for (let i = 0; i < count; i++) await world.write(`${prefix}${i}`);
  };

  it("saves the empty state with the first members before anything is built on them", async () => {
    await start(BY_HAND);
    await world.elected();
    for (const store of world.stores) deepEqual(await stored(store), [1], store.name);
  });

  it("has its state back after a restart: from a snapshot and the log above it", async () => {
    await start(BY_HAND);
    await writeMany(5);
    const [store] = world.stores as [TestStore];
    const { index } = await save(store);
    await writeMany(3, "later");
    const before = [...store.texts()];
    await restart(store);
    equal(
      store.machine().happened.find((what) => what.startsWith("snapshot")),
      `snapshot ${index}`,
    );
    await world.write("last");
    deepEqual(store.texts(), [...before, "last"]);
  });

  it("cuts the log behind snapshots of all peers", async () => {
    await start(BY_HAND);
    await writeMany(20);
    const saved = [];
    for (const store of world.stores) saved.push((await save(store)).index);
    await world.time.run(10_000);
    for (const store of world.stores) ok(store.node().status().truncatedIndex >= Math.min(...saved), store.name);
  });

  it("saves by itself after so many entries, on every peer", async () => {
    await start({ ...BY_HAND, logEntries: 10 });
    await writeMany(30);
    await world.time.run(5_000);
    for (const store of world.stores) ok(((await stored(store))[0] ?? 0) > 10, store.name);
  });

  it("saves by itself after so many bytes", async () => {
    await start({ ...BY_HAND, logBytes: 500 });
    await world.write("x".repeat(400));
    await world.time.run(3_000);
    deepEqual(await stored(world.store(1)), [1]);
    await world.write("y".repeat(400));
    await world.time.run(3_000);
    ok(((await stored(world.store(1)))[0] ?? 0) > 2);
  });

  it("saves by itself after the interval, and not again while nothing happens", async () => {
    await start({ ...BY_HAND, intervalMs: 10_000 });
    await writeMany(3);
    await world.time.run(10_500);
    const [first] = await stored(world.store(2));
    ok((first ?? 0) >= 4);
    const written = world.store(2).disk.journal.length;
    await world.time.run(60_000);
    equal(world.store(2).disk.journal.length, written);
  });

  it("goes on applying while a snapshot is being saved, which has the state of its index", async () => {
    await start(BY_HAND, 1);
    await writeMany(3);
    const store = world.store(1);
    let release: () => void = () => undefined;
    store.machine().duringSave = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    const saving = store.node().snapshot();
    await world.time.run(10);
    await world.write("meanwhile");
    release();
    const { index } = await driven(saving);
    ok(index < store.node().applied);
    equal(store.disk.content(`state/7/snapshot-2/texts`).toString(), JSON.stringify(["w0", "w1", "w2"]));
  });

  it("shares one save among those who ask at once, and saves again for who asks later", async () => {
    await start(BY_HAND, 1);
    await writeMany(2);
    const node = world.store(1).node();
    const release: (() => void)[] = [];
    world.store(1).machine().duringSave = () =>
      new Promise((resolve) => {
        release.push(resolve);
      });
    const first = [node.snapshot(), node.snapshot()];
    await world.time.run(10);
    equal(release.length, 1);
    await world.write("more");
    const second = node.snapshot();
    release[0]?.();
    const [a, b] = await driven(Promise.all(first));
    equal(a?.index, b?.index);
    await world.time.run(10);
    release[1]?.();
    equal((await driven(second)).index, (a?.index ?? 0) + 1);
  });

  it("loses nothing when saving fails: the older snapshot and the log stay", async () => {
    await start(BY_HAND, 1);
    await writeMany(4);
    const store = world.store(1);
    store.machine().duringSave = () => Promise.reject(new Error("no memory for that"));
    await rejects(save(store), /no memory for that/);
    deepEqual(await stored(store), [1]);
    deepEqual(await store.disk.list("state/7"), ["snapshot-1"]);
    equal(store.node().status().state, "leader");
    await restart(store);
    await world.write("after");
    deepEqual(store.texts(), ["w0", "w1", "w2", "w3", "after"]);
  });

  it("names a full disk as that", async () => {
    await start(BY_HAND, 1);
    await writeMany(1);
    const store = world.store(1);
    store.disk.intercept = (call, path) => {
      if (call === "write" && path.startsWith("state")) throw Object.assign(new Error("full"), { code: "ENOSPC" });
    };
    await rejects(save(store), { code: "DISK_FULL" });
    store.disk.intercept = undefined;
    ok((await save(store)).index > 1);
  });

  it("falls back to an older snapshot when the newest is damaged, as the log still goes on from it", async () => {
    await start({ ...BY_HAND, keep: 2 });
    await writeMany(5);
    const store = world.store(2);
    const { index } = await save(store);
    await writeMany(5, "more");
    const newest = await save(store);
    const before = [...store.texts()];
    deepEqual(await stored(store), [newest.index, index]);
    store.kill();
    damage(store, /snapshot-3\/texts$/);
    await store.open(LIMITS);
    await world.time.until("loaded", () => store.machine().happened.includes(`snapshot ${index}`));
    await world.write("last");
    deepEqual(store.texts(), [...before, "last"]);
    ok(store.lines.some((line) => line.includes("snapshot-3/texts: checksum mismatch")));
    await save(store);
    deepEqual((await store.disk.list("state/7")).length, 2);
  });

  for (const [what, pattern] of [
    ["file", /snapshot-2\/texts$/],
    ["description", /snapshot-2\/\.manifest$/],
  ] as const) {
    it(`refuses a peer whose only snapshot has a damaged ${what}, and says what to do`, async () => {
      await start(BY_HAND);
      await writeMany(5);
      const store = world.store(3);
      await save(store);
      store.kill();
      damage(store, pattern);
      await store.open(LIMITS);
      const failure = store.node().started();
      await world.time.run(100);
      await rejects(failure, (error: { code: string; message: string }) => {
        equal(error.code, "CORRUPTION");
        return (
          pattern.test(/state\/\S+?(?=:)/.exec(error.message)?.[0] ?? "") && error.message.includes("remove the peer")
        );
      });
      equal(store.node().status().state, "error");
      await world.write("the others go on", world.stores.slice(0, 2));
    });
  }

  it("excludes a peer whose log forgot what its snapshot proves", async () => {
    await start(BY_HAND, 1);
    await writeMany(2);
    const store = world.store(1);
    const early = store.disk.clone();
    await writeMany(6, "more");
    await save(store);
    store.kill();
    for (const path of store.disk.files.keys()) if (path.startsWith("log/")) store.disk.files.delete(path);
    for (const [path, { bytes }] of early.files) if (path.startsWith("log/")) store.disk.put(path, bytes);
    await store.open(LIMITS);
    await world.time.run(100);
    equal(store.node().status().error?.code, "CORRUPTION");
    equal(store.log.group(7)?.lifecycle.state, "condemned");
  });

  it("saves a snapshot for a peer that joins, which stores it", async () => {
    await start(BY_HAND);
    await writeMany(5);
    for (const store of world.stores) await save(store);
    await writeMany(5, "more");
    const joiner = await world.addStore(LIMITS);
    const leader = world.leader() as TestStore;
    await driven(leader.node().addPeer({ peerId: 14, storeId: 4, role: "learner" }));
    await world.time.until("caught up", () => joiner.machines.get(7)?.data.texts.length === 10);
    ok(((await stored(joiner))[0] ?? 0) >= 11);
    await world.time.run(1_000);
    deepEqual(await joiner.disk.list("snapshots"), []);
    await restart(joiner);
    await world.write("last");
    deepEqual(joiner.texts(), leader.texts());
  });

  /** Kills a follower, and saves and cuts at the leader what it lacks. */
  async function leaveBehind(): Promise<{ leader: TestStore; behind: TestStore }> {
    await writeMany(3);
    const leader = await world.elected();
    const behind = world.stores.find((store) => store !== leader) as TestStore;
    behind.kill();
    for (let i = 0; i < 60; i++) await world.write(`m${i}`, [leader]);
    await save(leader);
    await world.time.until("the log was cut", () => leader.node().status().truncatedIndex > 40, 60_000);
    return { leader, behind };
  }

  it("sends a member that is behind what is stored, without saving anew", async () => {
    await start(BY_HAND);
    const { leader, behind } = await leaveBehind();
    leader.machine().duringSave = () => Promise.reject(new Error("it must not be saved anew"));
    await behind.open(LIMITS);
    await world.write("last", [leader, behind]);
    deepEqual(behind.texts(), leader.texts());
    deepEqual(
      leader.lines.filter((line) => line.includes("snapshot")),
      [],
    );
  });

  it("keeps a snapshot that is being sent, though a newer one is there", async () => {
    await start(BY_HAND);
    const { leader, behind } = await leaveBehind();
    const [name] = (await leader.disk.list("state/7")) as [string];
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    leader.disk.intercept = (call, path) => (call === "read" && path === `state/7/${name}/texts` ? gate : undefined);
    await behind.open(LIMITS);
    await world.time.until("sending", () => leader.host.stats().sendingSnapshots === 1);
    await world.write("more", [leader]);
    await save(leader);
    equal((await leader.disk.list("state/7")).length, 2);
    release();
    await world.write("last", [leader, behind]);
    await world.time.run(1_000);
    equal((await leader.disk.list("state/7")).length, 1);
    deepEqual(behind.texts(), leader.texts());
  });

  it("loads the leader's snapshot again after a kill in the middle, and it is its own from then on", async () => {
    await start(BY_HAND);
    const { leader, behind } = await leaveBehind();
    await behind.open(LIMITS);
    await world.time.until("resumed", () => behind.machines.has(7));
    await driven(behind.node().started());
    behind.machine().beforeLoad = () => new Promise(() => undefined);
    await world.time.until("installed", () => behind.log.group(7)?.pendingInstall !== undefined);
    await world.time.run(50);
    await restart(behind);
    await world.write("last");
    deepEqual(behind.texts(), leader.texts());
    ok(((await stored(behind))[0] ?? 0) > 40);
    await world.time.run(1_000);
    deepEqual(await behind.disk.list("snapshots"), []);
  });

  it("has the first members of its first start, whatever it is told later", async () => {
    await start(BY_HAND, 1);
    await world.write("one");
    const store = world.store(1);
    const data = store.data.get(7);
    ok(data !== undefined);
    store.data.set(7, {
      ...data,
      confState: { ...data.confState, voters: [11, 99] },
      peers: [...data.peers, { peerId: 99, storeId: 9, role: "voter" }],
    });
    await restart(store);
    await world.write("two");
    deepEqual(
      store
        .node()
        .listPeers()
        .map(({ peerId }) => peerId),
      [11],
    );
  });

  it("is not for state machines that have a storage of their own", async () => {
    await start(BY_HAND, 1);
    const storage = fileSnapshotStorage({ disk: world.store(1).disk, directory: "state/8" });
    const confState = { voters: [11], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    const stateMachine = {
      onApply: () => undefined,
      durableIndex: () => 0,
      onSnapshotSave: () => Promise.reject(new Error("unused")),
      onSnapshotLoad: () => Promise.resolve(),
    };
    const options = { groupId: 8, peerId: 11, stateMachine, confState, peers: [], snapshots: { storage } };
    throws(() => world.store(1).host.createGroup(options), { code: "INVALID_ARGUMENT" });
    equal(world.store(1).log.group(8), undefined);
  });
});
