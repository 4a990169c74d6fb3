/** One store of a world: the real engine, host and log on a virtual disk, network and clock; can crash and come back. */
import { RheaError, silentLogger } from "@rhea/common";
import type { HostLimits } from "@rhea/raft";
import { openMemoryKv, openStoreEngine, type InitialRegion, type StoreEngine } from "@rhea/store";
import type { StoreInit } from "@rhea/proto";
import { createProcessTime, type EventQueue, type ProcessTime } from "./event-queue.js";
import type { SimRandom } from "./random.js";
import type { SafetyChecker } from "./safety.js";
import { createSimDisk, type SimDisk } from "./sim-disk.js";
import type { SimNet } from "./sim-net.js";

/** What all stores of a world share. */
export interface StoreSetting {
  readonly queue: EventQueue;
  readonly random: SimRandom;
  readonly net: SimNet;
  readonly safety: SafetyChecker;
  readonly initialRegions: readonly InitialRegion[];
  addressOf(storeId: number): string;
  /** The address book that stores give to clients. */
  storeBook(): StoreInit[];
  /** Raft's times and limits in this world. */
  readonly raft: Partial<HostLimits>;
  /** A peer of this store begins to lead. */
  onLeader(storeId: number, groupId: number, term: number): void;
  /** A peer of this store applies entries, of `term` or later. */
  onCommitted(storeId: number, groupId: number, term: number): void;
  /** A failure that is a bug or a violated invariant, not a planned fault. */
  onViolation(error: RheaError): void;
}

/** A store that can be killed and started again. */
export interface SimStore {
  readonly storeId: number;
  readonly node: string;
  readonly disk: SimDisk;
  /** Undefined while down or starting. */
  readonly engine: StoreEngine | undefined;
  readonly isUp: boolean;
  start(): void;
  /** kill -9: what was written stays. */
  kill(): void;
  /** Power loss: what was not synced may be gone. */
  crash(): void;
  /** SIGSTOP for a while. */
  pause(durationMs: number): void;
  /** Moves the wall clock. */
  jumpWall(deltaMs: number): void;
}

/** A fault of the simulated disk stops the process, as it should; anything else is a finding. */
function isPlannedFault(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ("code" in at && (at.code === "EIO" || at.code === "ENOSPC")) return true;
  }
  return false;
}

/** Makes a store that is not started. */
export function createSimStore(setting: StoreSetting, storeId: number): SimStore {
  const { queue, random, net, safety } = setting;
  const node = `s${storeId}`;
  const disk = createSimDisk(queue, random);
  let incarnation = 0;
  let time: ProcessTime | undefined;
  let processNet: ReturnType<SimNet["processNet"]> | undefined;
  let engine: StoreEngine | undefined;

  const open = async (own: ProcessTime, network: NonNullable<typeof processNet>): Promise<void> => {
    const view = disk.view();
    const boot = ++incarnation;
    await view.mkdir("/snapshots");
    const kv = await openMemoryKv({ disk: view, directory: "/data", rewriteBytes: 256 * 1024 });
    const opened = await openStoreEngine({
      env: {
        clock: own.clock,
        scheduler: own.scheduler,
        rng: random,
        disk: view,
        net: network.net,
        logger: silentLogger,
      },
      clusterId: 1,
      storeId,
      incarnation: boot,
      bootNonce: random.bytes(16),
      kv,
      logDirectory: "/log",
      snapshotDirectory: "/snapshots",
      raft: setting.raft,
      initialRegions: setting.initialRegions.filter((region) =>
        region.voters.some((voter) => voter.storeId === storeId),
      ),
      resolveStore: (id) => setting.addressOf(id),
      storeBook: () => setting.storeBook(),
      onFatal: (error) => {
        if (!isPlannedFault(error)) setting.onViolation(error);
        store.kill();
      },
      observer: {
        onLeader: (groupId, peerId, term, lastIndex) => {
          safety.onLeader(groupId, peerId, term, lastIndex);
          setting.onLeader(storeId, groupId, term);
        },
        onCommitted: (groupId, peerId, entries) => {
          safety.onApply(groupId, peerId, entries);
          setting.onCommitted(storeId, groupId, entries[0]?.term ?? 0);
        },
        onHardState: safety.onHardState,
      },
    });
    const server = network.net.createServer();
    opened.addServices(server);
    await server.listen(setting.addressOf(storeId));
    if (time === own) engine = opened;
  };

  const end = (): void => {
    time?.kill();
    processNet?.kill();
    time = undefined;
    processNet = undefined;
    engine = undefined;
  };

  const store: SimStore = {
    storeId,
    node,
    disk,
    get engine() {
      return engine;
    },
    get isUp() {
      return time !== undefined;
    },
    start() {
      if (time !== undefined) return;
      const own = createProcessTime(queue, {
        rate: 0.99 + random.fraction() * 0.02,
        wallOffsetMs: random.between(-5_000, 5_000),
      });
      const network = net.processNet(node);
      time = own;
      processNet = network;
      open(own, network).catch((error: unknown) => {
        if (time !== own) return;
        if (!isPlannedFault(error)) setting.onViolation(RheaError.from(error));
        store.kill();
      });
    },
    kill() {
      if (time === undefined) return;
      end();
      disk.detach();
    },
    crash() {
      if (time === undefined) return;
      end();
      disk.crash();
    },
    pause: (durationMs) => time?.pause(durationMs),
    jumpWall: (deltaMs) => time?.jumpWall(deltaMs),
  };
  return store;
}
