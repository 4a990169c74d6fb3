/** Does the harm: one fault at a time or several, each undone after a while, so that the world always can heal. */
import { PeerRole } from "@rhea/proto";
import type { EventQueue } from "./event-queue.js";
import type { SimRandom } from "./random.js";
import type { SimNet } from "./sim-net.js";
import type { SimStore } from "./sim-store.js";
import { createFigureEight } from "./figure-eight.js";
import { createWalls, type Link } from "./walls.js";

/** What a nemesis may touch. */
export interface NemesisOptions {
  readonly queue: EventQueue;
  readonly random: SimRandom;
  readonly net: SimNet;
  readonly stores: readonly SimStore[];
  /** Storms come again and again. */
  readonly isStormy: boolean;
}

/** A nemesis at work. */
export interface Nemesis {
  start(): void;
  /** Ends all harm: starts what is down, heals the network, waits for nothing. */
  stop(): void;
  /** Told of every new leader: during a storm none lasts. */
  onLeader(storeId: number, groupId: number, term: number): void;
  /** Told of every commit, with the least term among its entries. */
  onCommitted(storeId: number, groupId: number, term: number): void;
  /** Whether every kind of fault that each run must have was done. */
  readonly hasDoneItsDuty: boolean;
  /** How often each kind of fault was done. */
  readonly counts: Readonly<Record<string, number>>;
}

type Fault =
  | "crash"
  | "kill"
  | "partition"
  | "oneWay"
  | "reset"
  | "pause"
  | "slowDisk"
  | "transfer"
  | "membership"
  | "split"
  | "loss"
  | "clockJump"
  | "stormyLeader"
  | "storm"
  | "figureEight"
  | "powerFailure"
  | "diskError";

/** Every run does each of these at least once. */
const ALWAYS: readonly Fault[] = ["crash", "partition", "membership", "transfer"];
const OFTEN: readonly Fault[] = [
  "crash",
  "crash",
  "kill",
  "partition",
  "partition",
  "oneWay",
  "reset",
  "pause",
  "slowDisk",
  "transfer",
  "membership",
  "membership",
  "split",
  "loss",
  "clockJump",
  "stormyLeader",
  "storm",
  "storm",
  "figureEight",
  "figureEight",
  "stormyLeader",
  "powerFailure",
  "diskError",
];

/** Makes a nemesis that is not started. */
export function createNemesis({ queue, random, net, stores, isStormy }: NemesisOptions): Nemesis {
  const counts: Record<string, number> = {};
  let isActive = false;
  let nextPeerId = 1_000;
  let nextRegionId = 100;
  let stormUntilMs = 0;
  const walls = createWalls(net);
  const nodes = stores.map((store) => store.node);

  const count = (name: string): void => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  const later = (fromMs: number, toMs: number, run: () => void): void => {
    queue.plan(random.between(fromMs, toMs), run);
  };
  const figureEight = createFigureEight({ queue, random, walls, nodes, count });
  const due = (): Fault[] => ALWAYS.filter((fault) => counts[fault] === undefined);
  const up = (): SimStore[] => stores.filter((store) => store.engine !== undefined);
  /** At most one store of four is down at a time by harm, but for power failures of all. */
  const mayTakeDown = (): boolean => stores.every((store) => store.isUp);
  const leaderOf = (): { store: SimStore; regionId: number } | undefined => {
    const found = up().flatMap((store) =>
      (store.engine?.regions() ?? [])
        .filter((region) => region.isLeader)
        .map((region) => ({ store, regionId: region.regionId })),
    );
    return found.length === 0 ? undefined : random.pick(found);
  };
  /** A failed administrative call is no finding: leaders move, epochs differ. */
  const attempt = (name: string, call: Promise<unknown> | undefined): void => {
    call?.then(
      () => {
        count(name);
      },
      () => {
        count(`${name}Refused`);
      },
    );
  };
  const changeMembers = (): void => {
    const at = leaderOf();
    const region = at === undefined ? undefined : at.store.engine?.region(at.regionId);
    if (region === undefined) return;
    const { peers } = region.descriptor;
    const learner = peers.find((peer) => peer.role === PeerRole.LEARNER);
    const voters = peers.filter((peer) => peer.role === PeerRole.VOTER);
    const absent = stores.filter((store) => peers.every((peer) => peer.storeId !== store.storeId));
    const target = absent[0];
    if (learner !== undefined)
      attempt("membership", region.addPeer({ peerId: learner.peerId, storeId: learner.storeId, role: "voter" }));
    else if (voters.length > 3)
      attempt(
        "membership",
        region.removePeer(random.pick(voters.filter((peer) => peer.peerId !== region.peerId)).peerId),
      );
    else if (target !== undefined)
      attempt("membership", region.addPeer({ peerId: nextPeerId++, storeId: target.storeId, role: "learner" }));
  };

  const split = (): void => {
    const at = leaderOf();
    const region = at === undefined ? undefined : at.store.engine?.region(at.regionId);
    if (region === undefined || (counts["split"] ?? 0) >= 3) return;
    const key = Buffer.from(`k${random.int(24)}`);
    const childPeers = region.descriptor.peers.map(() => nextPeerId++);
    attempt("split", region.split(key, nextRegionId++, childPeers));
  };

  const act: Record<Fault, () => void> = {
    crash: () => {
      if (!mayTakeDown()) return;
      const store = random.pick(stores);
      store.crash();
      count("crash");
      later(50, 1_500, () => {
        store.start();
      });
    },
    kill: () => {
      if (!mayTakeDown()) return;
      const store = leaderOf()?.store ?? random.pick(stores);
      store.kill();
      count("kill");
      later(50, 1_000, () => {
        store.start();
      });
    },
    powerFailure: () => {
      for (const store of stores) store.crash();
      count("powerFailure");
      for (const store of stores)
        later(50, 500, () => {
          store.start();
        });
    },
    partition: () => {
      const store = leaderOf()?.store ?? random.pick(stores);
      later(500, 2_500, walls.raiseAround(store.node, nodes));
      count("partition");
    },
    oneWay: () => {
      const [a, b] = [random.pick(stores), random.pick(stores)];
      if (a === b) return;
      count("oneWay");
      later(300, 2_000, walls.raise([[a.node, b.node]]));
    },
    reset: () => {
      const [a, b] = [random.pick(stores), random.pick(stores)];
      net.reset(a.node, b.node);
      count("reset");
    },
    pause: () => {
      const running = up();
      if (running.length === 0) return;
      random.pick(running).pause(random.between(200, 2_500));
      count("pause");
    },
    slowDisk: () => {
      const { disk } = random.pick(stores);
      disk.slowByMs = random.between(5, 60);
      count("slowDisk");
      later(500, 2_000, () => {
        disk.slowByMs = 0;
      });
    },
    diskError: () => {
      if (!mayTakeDown()) return;
      const store = random.pick(stores);
      store.disk.failNext(random.chance(0.5) ? "write" : "datasync", random.chance(0.5) ? "EIO" : "ENOSPC", 1);
      count("diskError");
      later(300, 800, () => {
        store.disk.failNext("write", "EIO", 0);
        store.disk.failNext("datasync", "EIO", 0);
        store.start();
      });
    },
    clockJump: () => {
      random.pick(stores).jumpWall(random.between(-600_000, 600_000));
      count("clockJump");
    },
    transfer: () => {
      const at = leaderOf();
      const region = at?.store.engine?.region(at.regionId);
      const targets =
        region?.descriptor.peers.filter((peer) => peer.role === PeerRole.VOTER && peer.peerId !== region.peerId) ?? [];
      if (region === undefined || targets.length === 0) return;
      attempt("transfer", region.transferLeadershipTo(random.pick(targets).peerId));
    },
    membership: changeMembers,
    split,
    loss: () => {
      Object.assign(net.faults, {
        lossRatio: random.fraction() * 0.2,
        duplicateRatio: random.fraction() * 0.1,
        reorderRatio: random.fraction() * 0.1,
      });
      count("loss");
      later(500, 3_000, () => {
        Object.assign(net.faults, { lossRatio: 0, duplicateRatio: 0, reorderRatio: 0 });
      });
    },
    // New leaders lose their followers within milliseconds, again and again, and come back with entries that nobody else has:
    // figure 8 of the raft paper.
    storm: () => {
      stormUntilMs = queue.nowMs + random.between(1_500, 3_000);
      Object.assign(net.faults, { lossRatio: 0.1, tailRatio: 0.1 });
      count("storm");
      queue.plan(stormUntilMs - queue.nowMs, () => {
        Object.assign(net.faults, { lossRatio: 0, tailRatio: 0.01 });
      });
    },
    figureEight: () => {
      const at = leaderOf();
      if (at === undefined || !mayTakeDown() || !walls.isClear) return;
      count("figureEight");
      figureEight.begin(at.regionId, at.store.storeId);
    },
    // A leader that reaches one follower only dies.
    stormyLeader: () => {
      const at = leaderOf();
      if (at === undefined) return;
      const others = stores.filter((store) => store !== at.store);
      const friend = random.pick(others);
      const lower = walls.raise(others.filter((other) => other !== friend).map((other) => [at.store.node, other.node]));
      count("stormyLeader");
      later(10, 200, () => {
        if (mayTakeDown()) {
          at.store.kill();
          later(20, 600, () => {
            at.store.start();
          });
        }
        lower();
      });
    },
  };

  const tick = (): void => {
    if (!isActive) return;
    const owed = due();
    // A scene is not disturbed, most of the time.
    if (!figureEight.isRunning || random.chance(0.05))
      act[owed.length > 0 && random.chance(0.5) ? random.pick(owed) : random.pick(OFTEN)]();
    later(100, 900, tick);
  };

  const cutOff = (store: SimStore): void => {
    const friend = random.chance(0.2) ? random.pick(stores) : undefined;
    const others = stores.filter((other) => other !== store && other !== friend);
    const links = others.flatMap((other): Link[] => [
      [store.node, other.node],
      [other.node, store.node],
    ]);
    later(150, 900, walls.raise(links));
  };
  const stormyStore = (storeId: number): SimStore | undefined =>
    isActive && queue.nowMs <= stormUntilMs ? stores[storeId - 1] : undefined;
  const ledTerms = new Map<string, number>();

  const onLeader = (storeId: number, groupId: number, term: number): void => {
    ledTerms.set(`${storeId}/${groupId}`, term);
    figureEight.onLeader(storeId, groupId, term);
    const store = stormyStore(storeId);
    if (store === undefined) return;
    // At once: before even the entry that begins its term has left.
    if (random.chance(0.5)) cutOff(store);
    else
      queue.plan(random.fraction() ** 2 * 30, () => {
        cutOff(store);
      });
  };

  const onCommitted = (storeId: number, groupId: number, term: number): void => {
    figureEight.onCommitted(storeId, groupId, term);
    const store = stormyStore(storeId);
    // It commits what an earlier leader wrote: the moment at which counting replicas would be wrong.
    if (store === undefined || term >= (ledTerms.get(`${storeId}/${groupId}`) ?? 0) || random.chance(0.3)) return;
    count("cutAtOldCommit");
    cutOff(store);
  };

  return {
    counts,
    get hasDoneItsDuty() {
      return due().length === 0;
    },
    onLeader,
    onCommitted,
    start: () => {
      isActive = true;
      tick();
      const brew = (): void => {
        if (!isActive) return;
        if (!figureEight.isRunning) act[random.chance(0.5) ? "storm" : "figureEight"]();
        later(2_000, 4_000, brew);
      };
      if (isStormy) brew();
    },
    stop: () => {
      isActive = false;
      Object.assign(net.faults, { lossRatio: 0, duplicateRatio: 0, reorderRatio: 0, tailRatio: 0 });
      figureEight.end();
      walls.raze();
      for (const store of stores) {
        store.disk.slowByMs = 0;
        store.disk.failNext("write", "EIO", 0);
        store.disk.failNext("datasync", "EIO", 0);
        store.start();
      }
      // What a planned restart still takes down comes back by its own plan.
      later(2_000, 2_000, () => {
        for (const store of stores) store.start();
      });
    },
  };
}
