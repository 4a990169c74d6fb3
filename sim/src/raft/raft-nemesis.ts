/** Does the harm in raft worlds: faults of network, disk, clock and process, and changes of membership, each undone after a while. */
import { RheaError } from "@rhea/common";
import type { PeerInfo, RaftNode } from "@rhea/raft";
import type { EventQueue } from "../world/event-queue.js";
import type { SimRandom } from "../world/random.js";
import type { SimNet } from "../world/sim-net.js";
import type { Link, Walls } from "../world/walls.js";
import { disturbDisk } from "./disk-harm.js";
import type { Janitor } from "./raft-janitor.js";
import type { RaftProcess } from "./raft-process.js";

/** What can be done. */
export type RaftFault =
  | "crash"
  | "kill"
  | "killLeader"
  | "powerFailure"
  | "restartAll"
  | "move"
  | "pause"
  | "clockJump"
  | "isolate"
  | "isolateLeader"
  | "minority"
  | "learnersOnly"
  | "halves"
  | "oneWay"
  | "partial"
  | "reset"
  | "loss"
  | "slowDisk"
  | "diskError"
  | "flipBit"
  | "loseDisk"
  | "oldImage"
  | "transfer"
  | "transferCut"
  | "addLearner"
  | "promote"
  | "remove"
  | "change";

/** How often each fault comes, relative to the others. */
export type FaultWeights = Readonly<Partial<Record<RaftFault, number>>>;

/** What a nemesis may touch. */
export interface RaftNemesisSetting {
  readonly queue: EventQueue;
  readonly random: SimRandom;
  readonly net: SimNet;
  readonly walls: Walls;
  readonly janitor: Janitor;
  readonly groups: readonly number[];
  readonly weights: FaultWeights;
  /** Virtual ms between faults. */
  readonly restMs: readonly [from: number, to: number];
  readonly stores: () => readonly RaftProcess[];
  /** Whether a running store has spoken with another's present life. */
  readonly hasMet: (store: RaftProcess, other: RaftProcess) => boolean;
  newPeerId(): number;
  /** Gives a store another address from its next start on. */
  move(storeId: number): void;
  readonly mark: (name: string) => void;
}

/** A nemesis at work. */
export interface RaftNemesis {
  readonly isActive: boolean;
  start(): void;
  /** Ends all harm: starts what is down, heals network and disks. */
  stop(): void;
  /** Takes one store down for a while, with or without power. */
  strike(store: RaftProcess, how: "kill" | "crash" | "crashNow"): void;
  /** Cuts one store off for a while. */
  cutOff(store: RaftProcess, fromMs: number, toMs: number): void;
  /** Cuts some stores off from all the others for a while. */
  divide(side: readonly string[], fromMs: number, toMs: number): void;
}

const LOOK_EVERY_MS = 0.3;
const MAX_LOOKS = 100;
/** After this long a removal has come through, or its leader is known to be another. */
const SHRINKING_MS = 600;

/** Makes a nemesis that is not started. */
export function createRaftNemesis(setting: RaftNemesisSetting): RaftNemesis {
  const { queue, random, net, walls, groups, janitor, mark } = setting;
  let isActive = false;
  let shrunkAtMs = -Infinity;

  const stores = (): readonly RaftProcess[] => setting.stores();
  const nodes = (): string[] => stores().map(({ node }) => node);
  const up = (): RaftProcess[] => stores().filter((store) => store.host !== undefined && !store.isOutlaw);
  const later = (fromMs: number, toMs: number, run: () => void): void => {
    queue.plan(random.between(fromMs, toMs), run);
  };
  /** At most a minority is down by harm, but for what hits all. */
  const mayTakeDown = (): boolean =>
    stores().filter((store) => !store.isUp).length < Math.max(1, Math.floor((stores().length - 1) / 2)) &&
    stores().every((store) => !store.isOutlaw);
  const leading = (): { readonly store: RaftProcess; readonly node: RaftNode } | undefined => {
    const groupId = random.pick(groups);
    const found = up().flatMap((store) => {
      const node = store.host?.group(groupId);
      return node?.isLeader === true ? [{ store, node }] : [];
    });
    return found.length === 0 ? undefined : random.pick(found);
  };
  const victim = (): RaftProcess => {
    const running = up();
    return running.length === 0 ? random.pick(stores()) : random.pick(running);
  };
  /** A refused administrative call is no finding: leaders move, other changes run. */
  const attempt = (name: string, make: () => Promise<void>): void => {
    const call = (async () => {
      await make();
    })();
    call.then(
      () => {
        mark(name);
      },
      (error: unknown) => {
        mark(`${name}Refused`);
        if (RheaError.from(error).code === "TRANSFER_FAILED") mark("transferAborted");
      },
    );
  };
  const between = (a: string, b: string): Link[] => [
    [a, b],
    [b, a],
  ];
  const raiseFor = (links: readonly Link[], fromMs: number, toMs: number): void => {
    later(fromMs, toMs, walls.raise(links));
  };
  const cutOff = (store: RaftProcess, fromMs: number, toMs: number): void => {
    later(fromMs, toMs, walls.raiseAround(store.node, nodes()));
  };
  /** Acts when something is on its way to the disk, or after a while. */
  const whenWriting = (store: RaftProcess, act: () => void): void => {
    const { life } = store;
    let looks = 0;
    const look = (): void => {
      if (store.life !== life || store.isOutlaw) return;
      if (looks++ < MAX_LOOKS && (store.log?.stats().oldestPendingMs ?? 0) === 0) queue.plan(LOOK_EVERY_MS, look);
      else queue.plan(random.fraction() * LOOK_EVERY_MS, act);
    };
    look();
  };
  const divide = (side: readonly string[], fromMs: number, toMs: number): void => {
    const others = nodes().filter((node) => !side.includes(node));
    raiseFor(
      side.flatMap((a) => others.flatMap((b) => between(a, b))),
      fromMs,
      toMs,
    );
  };
  const strike = (store: RaftProcess, how: "kill" | "crash" | "crashNow"): void => {
    const fall = (): void => {
      if (how === "kill") store.kill();
      else store.crash();
      later(20, 700, () => {
        store.start();
      });
    };
    if (how === "crash" && random.chance(0.6)) whenWriting(store, fall);
    else fall();
  };

  const freeStore = (peers: readonly PeerInfo[]): RaftProcess | undefined => {
    const free = up().filter((store) => peers.every(({ storeId }) => storeId !== store.storeId));
    return free.length === 0 ? undefined : random.pick(free);
  };

  const act: Record<RaftFault, () => void> = {
    crash: () => {
      if (!mayTakeDown()) return;
      strike(victim(), "crash");
      mark("crash");
    },
    kill: () => {
      if (!mayTakeDown()) return;
      strike(victim(), "kill");
      mark("kill");
    },
    killLeader: () => {
      const at = leading();
      if (at === undefined || !mayTakeDown()) return;
      strike(at.store, random.chance(0.5) ? "kill" : "crash");
      mark("killLeader");
    },
    powerFailure: () => {
      if (stores().some((store) => store.isOutlaw)) return;
      for (const store of stores()) {
        store.crash();
        later(20, 300, () => {
          store.start();
        });
      }
      mark("powerFailure");
    },
    restartAll: () => {
      if (stores().some((store) => store.isOutlaw)) return;
      for (const store of stores())
        later(0, 200, () => {
          store.kill();
          later(5, 150, () => {
            store.start();
          });
        });
      mark("restartAll");
    },
    move: () => {
      if (!mayTakeDown()) return;
      const store = victim();
      setting.move(store.storeId);
      strike(store, "kill");
      mark("addressChange");
    },
    pause: () => {
      victim().pause(random.between(20, 500));
      mark("pause");
    },
    clockJump: () => {
      victim().jumpWall(random.between(-600_000, 600_000));
      mark("clockJump");
    },
    isolate: () => {
      cutOff(victim(), 50, 600);
      mark("partition");
    },
    isolateLeader: () => {
      const at = leading();
      if (at === undefined) return;
      cutOff(at.store, 100, 600);
      mark("partition");
    },
    minority: () => {
      const at = leading();
      if (at === undefined) return;
      const peers = at.node.listPeers().filter(({ peerId }) => peerId !== at.node.peerId);
      if (peers.length < 3) return;
      // A leader that still hears from somebody, and from too few.
      divide([at.store.node, `s${random.pick(peers).storeId}`], 150, 500);
      mark("minority");
    },
    learnersOnly: () => {
      const at = leading();
      const learners = at?.node.listPeers().filter(({ role }) => role === "learner") ?? [];
      if (at === undefined || learners.length === 0) return;
      divide([at.store.node, ...learners.map(({ storeId }) => `s${storeId}`)], 150, 500);
      mark("leaderAloneWithLearners");
    },
    halves: () => {
      const all = nodes();
      divide(
        all.filter(() => random.chance(0.5)),
        50,
        500,
      );
      mark("halves");
    },
    oneWay: () => {
      raiseFor([[victim().node, random.pick(stores()).node]], 50, 600);
      mark("oneWay");
    },
    partial: () => {
      const all = nodes();
      const links = all.flatMap((a) => all.flatMap((b): Link[] => (a !== b && random.chance(0.3) ? [[a, b]] : [])));
      raiseFor(links, 50, 400);
      mark("partialPartition");
    },
    reset: () => {
      net.reset(victim().node, random.pick(stores()).node);
      mark("reset");
    },
    loss: () => {
      Object.assign(net.faults, {
        lossRatio: random.fraction() * 0.3,
        duplicateRatio: random.fraction() * 0.2,
        reorderRatio: random.fraction() * 0.2,
        tailRatio: random.fraction() * 0.2,
      });
      mark("loss");
      later(200, 1_000, () => {
        Object.assign(net.faults, { lossRatio: 0, duplicateRatio: 0, reorderRatio: 0, tailRatio: 0.01 });
      });
    },
    slowDisk: () => {
      const { disk } = victim();
      disk.slowByMs = random.between(2, 80);
      mark("slowDisk");
      later(100, 800, () => {
        disk.slowByMs = 0;
      });
    },
    diskError: () => {
      if (!mayTakeDown()) return;
      const store = victim();
      const kind = random.chance(0.5) ? "write" : "datasync";
      store.disk.failNext(kind, random.chance(0.5) ? "EIO" : "ENOSPC", 1);
      mark(kind === "write" ? "diskError" : "failedSync");
      later(100, 400, () => {
        store.disk.failNext(kind, "EIO", 0);
        store.start();
      });
    },
    flipBit: () => {
      harmDisk("flipBit");
    },
    loseDisk: () => {
      harmDisk("loseDisk");
    },
    oldImage: () => {
      harmDisk("oldImage");
    },
    transfer: () => {
      transfer(false);
    },
    transferCut: () => {
      transfer(true);
    },
    addLearner: () => {
      const at = leading();
      const free = at === undefined ? undefined : freeStore(at.node.listPeers());
      if (at === undefined || free === undefined) return;
      const peer: PeerInfo = { peerId: setting.newPeerId(), storeId: free.storeId, role: "learner" };
      attempt("learnerAdded", () => at.node.addPeer(peer));
    },
    promote: () => {
      const at = leading();
      const learner = at?.node.listPeers().find(({ role }) => role === "learner");
      if (at === undefined || learner === undefined) return;
      const isDivided = !walls.isClear;
      attempt("promoted", async () => {
        await at.node.addPeer({ ...learner, role: "voter" });
        if (isDivided) mark("promotedWhileDivided");
      });
    },
    remove: () => {
      const at = leading();
      const peers = at?.node.listPeers() ?? [];
      const voters = peers.filter(({ role }) => role === "voter");
      if (at === undefined || voters.length < 3) return;
      shrunkAtMs = queue.nowMs;
      attempt("removed", () => at.node.removePeer(random.pick(peers).peerId));
    },
    change: () => {
      const at = leading();
      if (at === undefined) return;
      const peers = at.node.listPeers();
      const free = freeStore(peers);
      const voters = peers.filter(({ role }) => role === "voter");
      const kept = voters.filter(() => random.chance(0.7));
      const added: PeerInfo[] =
        free === undefined ? [] : [{ peerId: setting.newPeerId(), storeId: free.storeId, role: "voter" }];
      const next = [...kept, ...added];
      if (next.length < 2 || kept.length === 0 || (kept.length === voters.length && added.length === 0)) return;
      shrunkAtMs = queue.nowMs;
      attempt("changePeers", () => at.node.changePeers(next));
    },
  };

  const transfer = (isCut: boolean): void => {
    const at = leading();
    const voters = at?.node.listPeers().filter(({ role, peerId }) => role === "voter" && peerId !== at.node.peerId);
    if (at === undefined || voters === undefined || voters.length === 0) return;
    const target = random.pick(voters);
    if (isCut) raiseFor([[at.store.node, `s${target.storeId}`]], 100, 600);
    attempt("transfer", () => at.node.transferLeadershipTo(target.peerId));
  };

  /** Destroys something on one disk: only while all is well otherwise, so that what is left can always mend it. */
  const harmDisk = (kind: "flipBit" | "loseDisk" | "oldImage"): void => {
    if (isWell()) disturbDisk({ queue, random, stores, hasMet: setting.hasMet, isWell, mark }, kind, victim());
  };
  const isWell = (): boolean =>
    // A removal that nobody knows the outcome of may still leave two voters, of which one must not lose its disk.
    walls.isClear &&
    queue.nowMs - shrunkAtMs > SHRINKING_MS &&
    stores().every((store) => store.host !== undefined && !store.isDamaged) &&
    janitor.isTidy &&
    groups.every((groupId) => (janitor.members(groupId)?.conf.voters.length ?? 0) >= 3);

  const pairs = Object.entries(setting.weights) as [RaftFault, number][];
  const total = pairs.reduce((sum, [, weight]) => sum + weight, 0);
  const pickFault = (): RaftFault => {
    let left = random.fraction() * total;
    for (const [fault, weight] of pairs) if ((left -= weight) < 0) return fault;
    return "crash";
  };
  const tick = (): void => {
    if (!isActive) return;
    act[pickFault()]();
    later(setting.restMs[0], setting.restMs[1], tick);
  };

  return {
    get isActive() {
      return isActive;
    },
    strike,
    cutOff,
    divide,
    start: () => {
      isActive = true;
      tick();
    },
    stop: () => {
      isActive = false;
      Object.assign(net.faults, { lossRatio: 0, duplicateRatio: 0, reorderRatio: 0, tailRatio: 0.01, ghostRatio: 0 });
      walls.raze();
      const mend = (): void => {
        for (const store of stores()) {
          store.disk.slowByMs = 0;
          store.disk.failNext("write", "EIO", 0);
          store.disk.failNext("datasync", "EIO", 0);
          store.start();
        }
        // What a planned restart still takes down comes back by its own plan, or by this.
        later(400, 400, () => {
          if (!isActive) mend();
        });
      };
      mend();
    },
  };
}
