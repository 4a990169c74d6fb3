/**
 * The simulated PD and its stores: what processes do when they start, who answers, which regions exist and how their peers move. Time passes in ticks
 * of a second. The calls of the Admin interface are in `admin.ts`, decisions about regions in `schedule.ts`.
 */
import type { ProcessStart, SimulatedProcess, StartProcess } from "../nodes/process.js";
import type { Random } from "../world/random.js";
import type { VirtualTime } from "../world/virtual-time.js";
import {
  hasMajority,
  type SimConfig,
  type SimOperation,
  type SimRegion,
  type SimStore,
  type StoreProcess,
} from "./model.js";
import { PdGroup } from "./pd-group.js";
import { schedule } from "./schedule.js";

/** DISK_LOST and STALE_IDENTITY. */
const EXIT_LOST = 7;
const TICK_MS = 1_000;

/** What the world gives. */
export interface PlacementSetting {
  readonly time: VirtualTime;
  readonly random: Random;
  /** Regions that the workload makes. */
  regionTarget: number;
  /** Images whose processes crash at once, and the exit code. */
  readonly crashingImages: ReadonlyMap<string, number>;
  /** Hears what must never happen. */
  readonly onViolation: (what: string) => void;
}

/** See the file's header. */
export class Placement {
  readonly pd: PdGroup;
  readonly stores = new Map<number, SimStore>();
  readonly regions = new Map<number, SimRegion>();
  readonly operations: SimOperation[] = [];
  config: SimConfig = {
    ...{
      replicas: 3,
      repair: "operator",
      regionMaxBytes: 100_663_296,
      regionMaxKeys: 960_000,
      operationLimit: 8,
      logLevel: "",
    },
  };
  readonly setting: PlacementSetting;
  #nextId = 2;

  constructor(setting: PlacementSetting) {
    this.setting = setting;
    this.pd = new PdGroup(setting.time, setting.random, () => this.#forget());
    const tick = (): void => {
      this.#tick();
      setting.time.plan(TICK_MS, tick);
    };
    setting.time.plan(TICK_MS, tick);
  }

  get nowMs(): number {
    return this.setting.time.nowMs;
  }

  /** Ids of stores, regions, peers and operations: never given twice. */
  newId(): number {
    return this.#nextId++;
  }

  /** Whether a store's process serves and can be reached. */
  readonly isAlive = (storeId: number): boolean => this.stores.get(storeId)?.process?.isReachable === true;

  /** Milliseconds since PD heard a store. */
  heartbeatAgeMs({ heardMs }: SimStore): number {
    return Math.max(0, this.nowMs - heardMs);
  }

  /** Whether PD takes a store for live. */
  seemsLive(store: SimStore | undefined): boolean {
    return (
      store !== undefined && store.lifecycle !== "tombstone" && !store.diskLost && this.heartbeatAgeMs(store) <= 20_000
    );
  }

  /** How many peers a store has. */
  peersOn(storeId: number): number {
    let count = 0;
    for (const { peers } of this.regions.values()) if (peers.some((peer) => peer.storeId === storeId)) count++;
    return count;
  }

  storeNamed(name: string): SimStore | undefined {
    return [...this.stores.values()].find((store) => store.name === name && store.lifecycle !== "tombstone");
  }

  /** Regions that lose their majority when the store goes down, counting as alive what was so within the last `slackMs`. */
  regionsDependingOn(storeId: number, slackMs: number): SimRegion[] {
    if (!this.isAlive(storeId)) return [];
    const isCounted = (id: number): boolean =>
      this.isAlive(id) || this.nowMs - (this.stores.get(id)?.aliveMs ?? -Infinity) <= slackMs;
    return [...this.regions.values()].filter(
      (region) => hasMajority(region, isCounted) && !hasMajority(region, (id) => id !== storeId && isCounted(id)),
    );
  }

  /** Regions that have lost a majority of their voters' data for good, those on `without` included. */
  regionsWithoutData(hasData: (store: SimStore) => boolean): SimRegion[] {
    const holds = (id: number): boolean => {
      const store = this.stores.get(id);
      return store !== undefined && store.lifecycle !== "tombstone" && hasData(store);
    };
    return [...this.regions.values()].filter((region) => !hasMajority(region, holds));
  }

  /** Programs of the image. */
  readonly start: StartProcess = (start) => {
    const code = this.setting.crashingImages.get(start.image);
    if (code !== undefined) {
      return this.#starting(() => {
        start.exit(code);
        return false;
      });
    }
    return start.component === "pd" ? this.#startPd(start) : this.#startStore(start);
  };

  /** A process that is starting: `step` is called after a while, and again until it returns false. */
  #starting(step: () => boolean): SimulatedProcess & { isOver: boolean; isReachable: boolean } {
    const { time, random } = this.setting;
    const process = {
      isOver: false,
      isReachable: true,
      kill: () => {
        process.isOver = true;
      },
      setReachable: (isReachable: boolean) => {
        process.isReachable = isReachable;
      },
    };
    const again = (): void => {
      if (process.isOver) return;
      if (!process.isReachable || step()) time.plan(random.between(500, 1_500), again);
    };
    time.plan(random.between(200, 2_000), again);
    return process;
  }

  #startStore({ name, volumes, exit, setReady }: ProcessStart): SimulatedProcess {
    let serving: SimStore | undefined;
    const leave = (): boolean => {
      exit(EXIT_LOST);
      return false;
    };
    const end = (): void => {
      if (serving === undefined) return;
      serving.aliveMs = process.isReachable ? this.nowMs : serving.aliveMs;
      if (serving.process === process) serving.process = undefined;
      serving = undefined;
    };
    const process: StoreProcess & { isOver: boolean } = this.#starting(() => {
      const identity = volumes.every((volume) => volume.identity !== undefined) ? volumes[0]?.identity : undefined;
      if (identity === undefined) {
        if (!this.pd.isServing) return true;
        if (this.storeNamed(name) !== undefined || volumes.some((volume) => volume.identity !== undefined))
          return leave();
      } else if (identity.kind !== "store" || identity.name !== name) return leave();
      const store = identity === undefined ? this.#register(name) : this.stores.get(identity.id);
      if (store === undefined || store.lifecycle === "tombstone") return leave();
      for (const volume of volumes) volume.identity = { kind: "store", id: store.storeId, name };
      if (store.process !== undefined && store.process !== process) {
        this.setting.onViolation(`two processes run with the identity of store ${store.storeId} (${name})`);
      }
      store.process = process;
      serving = store;
      // An earlier life's data are there again.
      if (this.pd.isServing) store.diskLost = false;
      setReady(true);
      this.#watchTombstone(store, process, exit);
      return false;
    });
    const { kill, setReachable } = process;
    process.kill = () => {
      end();
      kill();
    };
    process.setReachable = (isReachable) => {
      if (serving !== undefined && process.isReachable) serving.aliveMs = this.nowMs;
      setReachable(isReachable);
    };
    return process;
  }

  /** A store that is told it has been removed ends. */
  #watchTombstone(store: SimStore, process: StoreProcess & { isOver: boolean }, exit: (code: number) => void): void {
    const look = (): void => {
      if (process.isOver) return;
      if (store.lifecycle === "tombstone" && this.pd.isServing && process.isReachable) exit(EXIT_LOST);
      else this.setting.time.plan(5_000, look);
    };
    this.setting.time.plan(5_000, look);
  }

  #register(name: string): SimStore {
    if ([...this.stores.values()].some((store) => store.name === name)) {
      this.setting.onViolation(`store name ${name} is used again`);
    }
    const storeId = this.newId();
    const store: SimStore = {
      ...{ storeId, name, lifecycle: "up", drainOrigin: "", drainTotal: 0, diskLost: false, evictUntilMs: 0 },
      ...{ heardMs: this.nowMs, process: undefined, aliveMs: this.nowMs },
    };
    this.stores.set(storeId, store);
    if (this.regions.size === 0) this.addRegion([storeId]);
    return store;
  }

  /** Makes a region with a voter on each of the stores, the first one leading. */
  addRegion(storeIds: readonly number[]): void {
    const regionId = this.newId();
    const peers = storeIds.map((storeId) => ({ peerId: this.newId(), storeId, isVoter: true }));
    this.regions.set(regionId, {
      ...{ regionId, peers, leaderStoreId: storeIds[0] ?? 0, leaderLostMs: 0, reportedMs: this.nowMs, confVer: 1 },
    });
  }

  #startPd({ name, volumes, flags, exit, setReady }: ProcessStart): SimulatedProcess {
    const { pd } = this;
    const [volume] = volumes;
    if (volume === undefined) throw new Error(`PD member ${name} has no volume`);
    let isMember = false;
    const leave = (): boolean => {
      exit(EXIT_LOST);
      return false;
    };
    const process = this.#starting(() => {
      if (isMember) {
        const member = pd.members.get(name);
        if (member === undefined) return leave();
        if (!member.isVoter && pd.isServing) member.isVoter = true; // it has caught up
        setReady(pd.isServing && member.isVoter);
        return true;
      }
      if (volume.identity === undefined) {
        if (flags.get("initial-state") === "existing") return leave();
        if (flags.get("join") === undefined) {
          if (pd.members.size + pd.removed.size > 0)
            this.setting.onViolation(`PD member ${name} begins a second cluster on an empty directory`);
        } else if (!pd.isServing) return true;
        if (pd.members.has(name) || pd.removed.has(name)) return leave();
        const memberId = this.newId();
        volume.identity = { kind: "pd", id: memberId, name };
        pd.members.set(name, {
          memberId,
          name,
          isVoter: pd.members.size === 0,
          isHealthy: false,
          healthyMs: this.nowMs,
        });
      }
      if (volume.identity.kind !== "pd" || pd.removed.has(name)) return leave();
      isMember = true;
      pd.setHealthy(name, true);
      pd.check();
      return true;
    });
    const { kill, setReachable } = process;
    return {
      kill: () => {
        if (isMember) pd.setHealthy(name, false);
        kill();
      },
      setReachable: (isReachable) => {
        if (isMember) pd.setHealthy(name, isReachable);
        setReachable(isReachable);
      },
    };
  }

  /** What only a leader of PD has in its memory: leases, who was heard when, which regions were reported. */
  #forget(): void {
    for (const store of this.stores.values()) {
      store.evictUntilMs = 0;
      store.heardMs = this.nowMs;
    }
    for (const region of this.regions.values()) region.reportedMs = -Infinity;
  }

  #tick(): void {
    if (this.pd.isServing) {
      for (const store of this.stores.values()) if (this.isAlive(store.storeId)) store.heardMs = this.nowMs;
    }
    schedule(this);
  }
}
