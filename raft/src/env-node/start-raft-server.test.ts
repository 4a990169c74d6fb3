import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Logger, RheaError } from "@rhea/common";
import { grpcNet, nodeScheduler } from "@rhea/common/env-node";
import { storeIdOf } from "../cli/index.js";
import type { RaftNode, StateMachine } from "../node/index.js";
import { startRaftServer, type NodeRaftServerOptions, type RaftServer } from "./index.js";

const GROUP = 7;
const LIMITS = { tickMs: 20 };

/** Adds up what is committed; its context is called with the sum. */
class Sum implements StateMachine {
  value = 0;
  loads = 0;
  onApply: StateMachine["onApply"] = (entries) => {
    for (const { data, context } of entries) {
      if (data.length === 0) continue;
      this.value += Number(Buffer.from(data).toString());
      (context as ((sum: number) => void) | undefined)?.(this.value);
    }
  };
  onSnapshotSave: NonNullable<StateMachine["onSnapshotSave"]> = async (_directory, writer) => {
    await writer.write("sum", Buffer.from(String(this.value)));
    return writer.saved();
  };
  onSnapshotLoad: NonNullable<StateMachine["onSnapshotLoad"]> = async (files) => {
    this.loads++;
    this.value = Number((await files.read("sum")).toString());
  };
}

async function freeAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${typeof bound === "object" && bound !== null ? bound.port : 0}`;
}

async function until<T>(what: string, ask: () => T | undefined | Promise<T | undefined>): Promise<T> {
  let last: unknown;
  for (let i = 0; i < 750; i++) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      last = error;
    }
    await new Promise<void>((resolve) => nodeScheduler.setTimer(20, resolve));
  }
  throw new Error(`did not happen: ${what}`, { cause: last });
}

interface Member {
  readonly raft: RaftServer;
  readonly sum: Sum;
  readonly removed: number[];
}

describe("startRaftServer", function () {
  this.timeout(60_000);
  let root: string;
  let addresses: string[];
  const running = new Map<string, Member>();
  const refusals: string[] = [];
  /** Notes the refusals of processes that are not who they were. */
  const logger: Logger = {
    isEnabled: () => true,
    log: (_level, _message, fields) => {
      if (fields?.["code"] === "STALE_IDENTITY") refusals.push(JSON.stringify(fields));
    },
    child: () => logger,
  };

  beforeEach(async () => {
    refusals.length = 0;
    root = mkdtempSync(join(tmpdir(), "rhea-embed-"));
    addresses = [await freeAddress(), await freeAddress(), await freeAddress(), await freeAddress()];
  });
  afterEach(async () => {
    for (const { raft } of running.values()) await raft.close();
    running.clear();
    rmSync(root, { recursive: true, force: true });
  });

  const directoryOf = (address: string): string => join(root, address.replace(":", "-"));
  const options = (address: string, sum: Sum, more: Partial<NodeRaftServerOptions> = {}): NodeRaftServerOptions => ({
    dataDirectory: directoryOf(address),
    address,
    peers: addresses.slice(0, 3).join(","),
    groups: [{ groupId: GROUP, stateMachine: sum }],
    limits: LIMITS,
    logger,
    ...more,
  });

  async function start(address: string, more: Partial<NodeRaftServerOptions> = {}): Promise<Member> {
    const sum = new Sum();
    const removed: number[] = [];
    const groups = [{ groupId: GROUP, stateMachine: sum, onRemoved: () => void removed.push(GROUP) }];
    const raft = await startRaftServer(options(address, sum, { groups, ...more }));
    const member = { raft, sum, removed };
    running.set(address, member);
    return member;
  }
  async function stop(address: string): Promise<void> {
    await running.get(address)?.raft.close();
    running.delete(address);
  }
  const startThree = () => Promise.all(addresses.slice(0, 3).map((address) => start(address)));

  const nodes = (): RaftNode[] => [...running.values()].flatMap(({ raft }) => [...raft.host.groups()]);
  const leader = () => until("a leader", () => nodes().find((node) => node.isLeader));
  const add = (delta: number): Promise<number> =>
    until("an increment", async () => {
      const node = await leader();
      return new Promise<number>((resolve) => node.apply({ data: Buffer.from(String(delta)), context: resolve }));
    });
  const settled = (value: number) =>
    until(`${value} everywhere`, () => [...running.values()].every(({ sum }) => sum.value === value) || undefined);

  it("begins with the first members in empty directories, and goes on from them afterwards", async () => {
    const [first] = await startThree();
    assert.equal(first?.raft.storeId, storeIdOf(addresses[0] ?? ""));
    assert.equal(await add(5), 5);
    await settled(5);
    for (const address of addresses.slice(0, 3)) await stop(address);
    // What is said about the members now is not looked at.
    for (const address of addresses.slice(0, 3)) await start(address, { peers: "elsewhere:1" });
    assert.equal(await add(2), 7);
    await settled(7);
    assert.deepEqual(
      nodes()[0]
        ?.listPeers()
        .map(({ address }) => address),
      addresses.slice(0, 3).sort(),
    );
  });

  it("loads the newest snapshot at a start and applies only what came later", async () => {
    await startThree();
    await add(5);
    await settled(5);
    for (const node of nodes()) assert.ok((await node.snapshot()).index > 1);
    await add(1);
    await settled(6);
    for (const address of addresses.slice(0, 3)) await stop(address);
    const members = await startThree();
    assert.deepEqual(
      members.map(({ sum }) => sum.loads),
      [1, 1, 1],
    );
    await add(1);
    await settled(7);
  });

  it("takes a member in that joins, lets it go when it is removed, and takes it in again as a new peer", async () => {
    await startThree();
    await add(5);
    const newcomer = addresses[3] ?? "";
    const joined = await start(newcomer, { join: true });
    assert.throws(() => joined.raft.node(GROUP), { code: "REGION_NOT_FOUND" });
    const learner = { peerId: 0, storeId: storeIdOf(newcomer), role: "learner", address: newcomer } as const;
    await (await leader()).addLearners([learner]);
    const before = await until("the learner's peer", () => joined.raft.host.group(GROUP)?.peerId);
    await until("the learner's value", () => joined.sum.value === 5 || undefined);
    await until("a read at the learner", () =>
      joined.raft
        .node(GROUP)
        .readIndex()
        .then(() => true),
    );

    await (await leader()).removeLearners([before]);
    await until("its end", () => joined.removed.length === 1 || undefined);
    assert.throws(() => joined.raft.node(GROUP), { code: "REGION_NOT_FOUND" });
    assert.deepEqual(readdirSync(join(directoryOf(newcomer), "snapshots")), []);

    await (await leader()).addLearners([learner]);
    await add(1);
    const after = await until("its second life", () => joined.raft.host.group(GROUP)?.peerId);
    assert.ok(after > before, `peer ${after} follows ${before}`);
    await settled(6);
    await stop(newcomer);
    const restarted = await start(newcomer, { join: true });
    assert.equal(restarted.raft.node(GROUP).peerId, after);
    await add(1);
    await settled(7);
  });

  it("takes a process that lost its directory in again once its peer was removed, and not before", async () => {
    const [, , lost = ""] = addresses;
    await startThree();
    await add(5);
    await until("a leader that stays", async () => {
      const node = await leader();
      if (node.peerId !== running.get(lost)?.raft.node(GROUP).peerId) return node;
      await node.transferLeadershipTo("any");
      return undefined;
    });
    await settled(5);
    const peerId = running.get(lost)?.raft.node(GROUP).peerId ?? 0;
    await stop(lost);
    await start(lost); // its second life is known to the others
    await settled(5);
    await stop(lost);
    rmSync(directoryOf(lost), { recursive: true });

    // Empty, it knows nothing of its votes: the others refuse it, and what it hears from them tells it that its log is gone.
    const fatal: string[] = [];
    const amnesiac = await start(lost, { onFatal: (error) => void fatal.push(error.message) });
    await add(1);
    await until("a refusal", () => refusals.length + fatal.length > 0 || undefined);
    assert.equal(amnesiac.sum.value, 0);
    for (const message of fatal) assert.match(message, /lost/);
    await stop(lost);
    rmSync(directoryOf(lost), { recursive: true });

    await (await leader()).removePeer(peerId);
    const fresh = await start(lost, { join: true });
    await (await leader()).addPeer({ peerId: 0, storeId: storeIdOf(lost), role: "voter", address: lost });
    await settled(6);
    assert.ok(fresh.raft.node(GROUP).peerId > peerId);
  });

  it("replays the whole log where the state machine has no snapshots", async () => {
    const [address = ""] = addresses;
    const plain = (): { readonly machine: StateMachine; value(): number } => {
      const sum = new Sum();
      return { machine: { onApply: (entries) => sum.onApply(entries) }, value: () => sum.value };
    };
    const first = plain();
    const groups = (machine: StateMachine) => ({ peers: address, groups: [{ groupId: GROUP, stateMachine: machine }] });
    await start(address, groups(first.machine));
    await add(3);
    await stop(address);
    const second = plain();
    await start(address, { ...groups(second.machine), peers: "elsewhere:1" });
    await until("the replay", () => second.value() === 3 || undefined);
  });

  it("serves the application's methods and raft's on one port, also on the application's own server", async () => {
    const [address = ""] = addresses;
    const net = grpcNet();
    const server = net.createServer();
    await start(address, { peers: address, server, net });
    await server.listen(address);
    await add(1);
    await server.close(0);
    await stop(address);
    let calls = 0;
    await start(address, { addServices: () => calls++ });
    assert.equal(calls, 1);
    await add(1);
  });

  describe("refuses", () => {
    const refused = (more: Partial<NodeRaftServerOptions>, code: RheaError["code"], message: RegExp) =>
      assert.rejects(
        startRaftServer(options(addresses[0] ?? "", new Sum(), more)).then((raft) => raft.close()),
        (error: RheaError) => {
          assert.equal(error.code, code);
          assert.match(error.message, message);
          return true;
        },
      );

    it("an address that is not among the first members", () =>
      refused({ peers: addresses[1] ?? "" }, "INVALID_CONFIG", /is not among its first members.*join/s));

    it("a port that others cannot know", () => refused({ address: "127.0.0.1:0" }, "INVALID_ARGUMENT", /port 0/));

    it("a directory that another server uses", async () => {
      await start(addresses[0] ?? "");
      await refused({}, "LOCKED", /in use/);
    });

    it("a directory of another address or cluster", async () => {
      const dataDirectory = directoryOf(addresses[0] ?? "");
      await start(addresses[0] ?? "");
      await stop(addresses[0] ?? "");
      await refused({ address: addresses[1] ?? "", dataDirectory }, "INVALID_CONFIG", /keeps its address/);
      await refused({ clusterId: 2 }, "CLUSTER_MISMATCH", /cluster 1, not 2/);
    });

    it("a log without its identity, and a directory whose log is gone", async () => {
      const directory = directoryOf(addresses[0] ?? "");
      await start(addresses[0] ?? "");
      await stop(addresses[0] ?? "");
      rmSync(join(directory, "identity.json"));
      await refused({}, "DISK_LOST", /identity\.json is missing/);
      rmSync(join(directory, "log", "identity.json"));
      await refused({}, "DISK_LOST", /says whose it is/);
    });

    it("to join with a state machine that takes no snapshots", () => {
      const stateMachine = { onApply: () => undefined };
      return refused({ join: true, groups: [{ groupId: GROUP, stateMachine }] }, "INVALID_CONFIG", /onSnapshotLoad/);
    });
  });

  it("tells its owner once when its directory is gone", async () => {
    const [address = ""] = addresses;
    const fatal: string[] = [];
    await start(address, { peers: address, onFatal: (error) => void fatal.push(error.code) });
    rmSync(join(directoryOf(address), "identity.json"));
    writeFileSync(join(directoryOf(address), "identity.json.other"), "");
    await until("a fatal error", () => fatal.length > 0 || undefined);
    assert.deepEqual(fatal, ["DISK_LOST"]);
  });
});
