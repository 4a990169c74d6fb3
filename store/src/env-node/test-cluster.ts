/** Several real engines in one process, talking over gRPC on loopback. Tests only. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, type RheaError, type RpcServer } from "@rhea/common";
import { grpcNet, nodeClock, nodeDisk, nodeRng, nodeScheduler } from "@rhea/common/env-node";
import type { InitialRegion, RegionHandle } from "../engine/api.js";
import { openEngine } from "../engine/open-store-engine.js";
import type { StoreEngineCore } from "../engine/store-engine.js";
import type { KvEngine } from "../kv/engine.js";
import { openMemoryKv } from "../kv/memory-engine.js";
import { openLevelKv } from "./leveldb-engine.js";

interface Member {
  readonly engine: StoreEngineCore;
  readonly server: RpcServer;
  readonly kv: KvEngine;
}

/** Stores 1..n by id; started and stopped one by one. */
export class TestCluster {
  readonly fatal: RheaError[] = [];
  readonly #root = mkdtempSync(join(tmpdir(), "rhea-cluster-"));
  readonly #members = new Map<number, Member>();
  readonly #addresses = new Map<number, string>();
  readonly #regions: readonly InitialRegion[];
  readonly #kind: "leveldb" | "memory";
  #incarnation = 0;

  constructor(regions: readonly InitialRegion[], kind: "leveldb" | "memory") {
    this.#regions = regions;
    this.#kind = kind;
  }

  engine(storeId: number): StoreEngineCore {
    const member = this.#members.get(storeId);
    if (member === undefined) throw new Error(`store ${storeId} does not run`);
    return member.engine;
  }

  async start(storeId: number): Promise<void> {
    const directory = join(this.#root, String(storeId));
    await nodeDisk.mkdir(directory);
    const kvDirectory = join(directory, "kv");
    const kv =
      this.#kind === "leveldb"
        ? await openLevelKv({ directory: kvDirectory })
        : await openMemoryKv({ disk: nodeDisk, directory: kvDirectory });
    const net = grpcNet();
    const engine = await openEngine({
      env: { clock: nodeClock, scheduler: nodeScheduler, rng: nodeRng, disk: nodeDisk, net, logger: silentLogger },
      clusterId: 1,
      storeId,
      incarnation: ++this.#incarnation,
      bootNonce: nodeRng.bytes(16),
      kv,
      logDirectory: join(directory, "log"),
      snapshotDirectory: join(directory, "snapshots"),
      initialRegions: this.#regions.filter(({ voters }) => voters.some((voter) => voter.storeId === storeId)),
      raft: { tickMs: 20 },
      resolveStore: (id) => this.#addresses.get(id),
      onFatal: (error) => this.fatal.push(error),
    });
    const server = net.createServer();
    engine.addServices(server);
    this.#addresses.set(storeId, await server.listen(this.#addresses.get(storeId) ?? "127.0.0.1:0"));
    this.#members.set(storeId, { engine, server, kv });
  }

  /** Where a store listens, or did. */
  addressOf(storeId: number): string {
    return this.#addresses.get(storeId) ?? "";
  }

  async stop(storeId: number): Promise<void> {
    const member = this.#members.get(storeId);
    if (member === undefined) return;
    this.#members.delete(storeId);
    await member.server.close(0);
    await member.engine.close();
    await member.kv.close();
  }

  async destroy(): Promise<void> {
    for (const storeId of [...this.#members.keys()]) await this.stop(storeId);
    rmSync(this.#root, { recursive: true });
  }

  /** Tries until `attempt` gives something; rejects with what it threw last after 20 s. */
  async until<T>(what: string, attempt: () => T | undefined | Promise<T | undefined>): Promise<T> {
    let last: unknown;
    for (let i = 0; i < 1_000; i++) {
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

  leader(regionId: number): Promise<RegionHandle> {
    return this.until(`a leader of region ${regionId}`, () =>
      [...this.#members.values()]
        .map(({ engine }) => engine.region(regionId))
        .find((region) => region?.isLeader === true),
    );
  }
}
