import { strict as assert } from "node:assert";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RheaError, silentLogger, type RpcMethod } from "@rhea/common";
import { grpcNet, nodeClock, nodeDisk, nodeRng, nodeScheduler } from "@rhea/common/env-node";
import { PdMethods, StoreState, type PdMember, type PdToStore, type StoreInit } from "@rhea/proto";
import { openMemoryKv } from "@rhea/store";
import { DEFAULT_SETTINGS } from "../cluster/index.js";
import { startMember, type RunningPd } from "../process/index.js";
import { Cable } from "../testing/cuttable-net.js";

const header = { clusterId: 3 };

/** Members in this process, on real time with ticks of 20 ms. */
class Group {
  readonly root = mkdtempSync(join(tmpdir(), "rhea-members-"));
  readonly cable = new Cable(grpcNet());
  readonly running = new Map<string, RunningPd>();
  readonly levels = new Map<string, string>();
  readonly fatal = new Map<string, RheaError>();
  readonly #outside = grpcNet();

  async start(name: string, options: { join?: boolean; featureLevel?: number; isExpected?: boolean } = {}) {
    const from = options.join === true ? this.addresses() : [];
    const pd = await startMember(
      {
        ...{ ...header, name, address: "127.0.0.1:0", advertiseAddress: undefined, dataDir: join(this.root, name) },
        ...{ join: from, isExpected: options.isExpected ?? false, settings: DEFAULT_SETTINGS },
        ...{ version: "test", featureLevel: options.featureLevel ?? 1, raft: { tickMs: 20 } },
      },
      {
        env: {
          ...{ clock: nodeClock, scheduler: nodeScheduler, rng: nodeRng, disk: nodeDisk },
          ...{ net: this.cable.of(name), logger: silentLogger },
        },
        openKv: (directory) => openMemoryKv({ disk: nodeDisk, directory }),
        openStatus: async () => ({ address: "", close: async () => undefined }),
        onFatal: (error) => this.fatal.set(name, error),
        onLogLevel: (level) => this.levels.set(name, level),
      },
    );
    this.running.set(name, pd);
    return pd;
  }

  async startThree(): Promise<void> {
    await (
      await this.start("a")
    ).ready;
    await (
      await this.start("b", { join: true })
    ).ready;
    await (
      await this.start("c", { join: true })
    ).ready;
    await this.settled(3);
  }

  async stop(name: string): Promise<void> {
    const pd = this.running.get(name);
    this.running.delete(name);
    await pd?.close();
  }

  addresses(): string[] {
    return [...this.running.values()].map(({ address }) => address);
  }

  async ask<ReqInit, Req, ResInit, Res>(
    name: string,
    method: RpcMethod<ReqInit, Req, ResInit, Res>,
    request: ReqInit,
  ): Promise<Res> {
    const channel = this.#outside.connect(this.running.get(name)?.address ?? "");
    try {
      return await channel.unary(method, request, { timeoutMs: 5000 });
    } finally {
      channel.close();
    }
  }

  async until<T>(what: string, attempt: () => Promise<T | undefined> | T | undefined): Promise<T> {
    let last: unknown;
    for (let i = 0; i < 500; i++) {
      try {
        const value = await attempt();
        if (value !== undefined) return value;
      } catch (error) {
        last = error;
      }
      await new Promise<void>((resolve) => nodeScheduler.setTimer(20, resolve));
    }
    throw new Error(`${what}: did not happen`, { cause: last });
  }

  /** The members by their leader, once there are so many, all of them voters and well. */
  settled(count: number): Promise<{ leader: string; members: PdMember[] }> {
    return this.until(`${count} members that are well`, () =>
      this.leading((members) => members.length === count && members.every(({ voter, healthy }) => voter && healthy)),
    );
  }

  /** The first member that says it leads, and its list if that is as wanted. */
  async leading(isRight: (members: PdMember[]) => boolean = () => true) {
    for (const leader of this.running.keys()) {
      const answer = await this.ask(leader, PdMethods.GetMembers, { header }).catch(() => undefined);
      if (answer !== undefined && isRight(answer.members)) return { leader, members: answer.members };
    }
    return undefined;
  }

  async destroy(): Promise<void> {
    await Promise.all([...this.running.keys()].map((name) => this.stop(name)));
    rmSync(this.root, { recursive: true, force: true });
  }
}

describe("PD's members in one process", function () {
  this.timeout(30_000);
  let group: Group;
  beforeEach(() => (group = new Group()));
  afterEach(() => group.destroy());

  it("give no id twice when a leader is cut off that does not know it yet, and follow again when it is back", async () => {
    await group.startThree();
    const { leader: old } = await group.settled(3);
    const given = new Set<number>();
    const take = async (name: string): Promise<void> => {
      const { firstId, count } = await group.ask(name, PdMethods.AllocId, { count: 300 });
      for (let id = firstId; id < firstId + count; id++) {
        assert.ok(!given.has(id), `id ${id} was given twice`);
        given.add(id);
      }
    };
    await take(old);
    group.cable.cut(old);
    await take(old).catch((error: unknown) => assert.ok(RheaError.from(error).retryable));
    const next = await group.until("another leader", async () => {
      const found = await group.leading((members) => members.some(({ name, leader }) => leader && name !== old));
      return found?.leader;
    });
    for (let i = 0; i < 5; i++) await take(next);
    await group.until("the old leader's insight", () =>
      group.ask(old, PdMethods.AllocId, { count: 1 }).then(
        () => undefined,
        (error: unknown) => (RheaError.from(error).code === "PD_NOT_LEADER" ? true : undefined),
      ),
    );
    group.cable.mend(old);
    await group.settled(3);
    await group.until("the way to the leader", () =>
      group.ask(old, PdMethods.ClusterInfo, { header }).then(
        () => undefined,
        (error: unknown) =>
          RheaError.from(error).details.leader?.address === group.running.get(next)?.address ? true : undefined,
      ),
    );
    await take(next);
  });

  it("find each other when one comes back at another address, and when all but one do", async () => {
    await group.startThree();
    for (const round of [["b"], ["a", "c"]]) {
      for (const name of round) await group.stop(name);
      for (const name of round) await group.start(name, { join: true });
      const { members } = await group.settled(3);
      await group.until("the new addresses", async () => {
        const found = await group.leading((list) =>
          list.every(({ name, address }) => address === group.running.get(name)?.address),
        );
        return found;
      });
      assert.deepEqual(members.map(({ memberId }) => memberId).length, new Set(members.map((m) => m.memberId)).size);
    }
  });

  it("take the log level of the cluster over, followers too, and again after a restart", async () => {
    await group.startThree();
    const { leader } = await group.settled(3);
    await group.ask(leader, PdMethods.SetClusterConfig, { header, config: { logLevel: "debug" } });
    const isTaken = () => (["a", "b", "c"].every((name) => group.levels.get(name) === "debug") ? true : undefined);
    await group.until("the level everywhere", isTaken);
    await assert.rejects(group.ask(leader, PdMethods.SetClusterConfig, { header, config: { logLevel: "loud" } }), {
      code: "INVALID_ARGUMENT",
    });
    const follower = ["a", "b", "c"].find((name) => name !== leader) ?? "";
    await group.stop(follower);
    group.levels.delete(follower);
    await group.start(follower, { join: true });
    await group.until("the level after a restart", isTaken);
  });

  it("refuse a known name with an empty directory, and a member that was removed while it was away", async () => {
    await group.startThree();
    const { leader } = await group.settled(3);
    const [lost, away] = ["a", "b", "c"].filter((name) => name !== leader);
    assert.ok(lost !== undefined && away !== undefined);
    await group.stop(lost);
    rmSync(join(group.root, lost), { recursive: true });
    await assert.rejects(group.start(lost, { join: true }), { code: "DISK_LOST" });
    rmSync(join(group.root, lost), { recursive: true });
    await assert.rejects(group.start(lost, { join: true, isExpected: true }), { code: "DISK_LOST" });

    await group.ask(leader, PdMethods.RemoveMember, { header, name: lost });
    await group.ask(leader, PdMethods.RemoveMember, { header, name: lost });
    await group.start("d", { join: true });
    await group.settled(3);
    await group.stop(away);
    await group.until("the silence", () => group.leading((list) => list.some(({ healthy }) => !healthy)));
    await group.ask(leader, PdMethods.RemoveMember, { header, name: away });
    await group.start(away, { join: true });
    await group.until("its end", () => group.fatal.get(away));
    assert.equal(group.fatal.get(away)?.code, "STALE_IDENTITY");
    await group.stop(away);
    await assert.rejects(group.start(away, { join: true }), { code: "STALE_IDENTITY" });
    const { members } = await group.settled(2);
    assert.ok(!members.some(({ name }) => name === away || name === lost));
  });

  it("raise the feature level when all speak it, keep it over failovers, and refuse who does not", async () => {
    await group.startThree();
    const level = async (name: string) => (await group.ask(name, PdMethods.ClusterInfo, { header })).featureLevel;
    assert.equal(await level("a"), 1);
    for (const name of ["c", "b", "a"]) {
      await group.stop(name);
      await group.settled(3).catch(() => undefined);
      await group.start(name, { join: true, featureLevel: 2 });
      const { leader } = await group.settled(3);
      if (name !== "a") assert.equal(await level(leader), 1);
    }
    const raised = () =>
      group.until("level 2", async () => {
        const found = await group.leading();
        return found !== undefined && (await level(found.leader)) === 2 ? found.leader : undefined;
      });
    const leader = await raised();
    const store = { storeId: 1, name: "s", address: "x:1", uuid: Buffer.alloc(16, 1), featureLevel: 1 };
    await assert.rejects(group.ask(leader, PdMethods.PutStore, { header, store }), { code: "VERSION_UNSUPPORTED" });
    await assert.rejects(group.start("old", { join: true }), { code: "VERSION_UNSUPPORTED" });
    await group.stop(leader);
    assert.notEqual(await raised(), leader);
  });

  it("lose no store when leadership moves: silence counts anew, and nothing is decided before it has lasted", async () => {
    await group.startThree();
    const { leader } = await group.settled(3);
    const { firstId: storeId } = await group.ask(leader, PdMethods.AllocId, { count: 1 });
    const store: StoreInit = {
      ...{ storeId, name: "s1", address: "127.0.0.1:1", uuid: Buffer.alloc(16, 7), incarnation: 1 },
      ...{ bootNonce: Buffer.alloc(16), featureLevel: 1 },
    };
    await group.ask(leader, PdMethods.PutStore, { header, store });
    const heartbeats = grpcNet().connect(group.running.get(leader)?.address ?? "");
    const stream = heartbeats.stream(PdMethods.Heartbeats);
    const said: PdToStore[] = [];
    const ended = new Promise<void>((resolve) =>
      stream.listen({ onMessage: (message) => said.push(message), onClose: () => resolve() }),
    );
    stream.send({ header, store, fullRound: true, stats: { storeId, capacity: 1e12, available: 5e11 } });
    await group.until("the members' addresses", () =>
      said.some(({ members }) => members.length === 3 && members.some((one) => one.leader)) ? true : undefined,
    );
    const next = ["a", "b", "c"].find((name) => name !== leader) ?? "";
    await group.ask(leader, PdMethods.TransferPdLeader, { header, name: next });
    await ended;
    heartbeats.close();
    assert.equal(said.at(-1)?.error?.code, "PD_NOT_LEADER");
    const { stores } = await group.until("the next leader", () =>
      group.ask(next, PdMethods.GetStores, { header }).catch(() => undefined),
    );
    assert.equal(stores[0]?.store?.state, StoreState.STORE_UP);
    assert.ok(stores[0].lastHeartbeatMsAgo < 5_000);
  });
});
