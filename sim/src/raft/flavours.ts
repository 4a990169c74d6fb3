/** What kind of world a seed makes: sizes, times, and which harm is common in it. */
import type { SimRandom } from "../world/random.js";
import type { FaultWeights } from "./raft-nemesis.js";
import type { ProcessShape } from "./raft-process.js";

/** What a world is mostly about. */
export type Flavour =
  "mixed" | "terms" | "figureEight" | "reads" | "members" | "joint" | "snapshots" | "disks" | "crashes";

/** All flavours; a seed takes one of them. */
export const FLAVOURS: readonly Flavour[] = [
  "mixed",
  "terms",
  "figureEight",
  "reads",
  "members",
  "joint",
  "snapshots",
  "disks",
  "crashes",
];

/** The shape of one world. */
export interface WorldShape {
  readonly flavour: Flavour;
  readonly hosts: number;
  readonly groups: number;
  readonly replicas: number;
  readonly chaosMs: number;
  readonly restMs: readonly [from: number, to: number];
  readonly weights: FaultWeights;
  /** Whether figure 8 is played again and again. */
  readonly scenes: boolean;
  /** Chance that a new leader is cut off at once. */
  readonly cutNewLeaderRatio: number;
  readonly ghostRatio: number;
  /** Chance that a store loses power between the install record of a snapshot and its installation. */
  readonly crashAtInstallRatio: number;
  readonly process: ProcessShape;
  readonly clients: {
    readonly clients: number;
    readonly keysPerGroup: number;
    readonly pauseMs: number;
    readonly readRatio: number;
  };
}

const NETWORK: FaultWeights = { isolate: 2, isolateLeader: 2, halves: 2, oneWay: 2, partial: 2, reset: 2, loss: 3 };
const PROCESS: FaultWeights = { crash: 3, kill: 2, killLeader: 2, pause: 2, clockJump: 1, move: 1 };
const MEMBERS: FaultWeights = { addLearner: 3, promote: 4, remove: 2, change: 3, transfer: 2, transferCut: 1 };
const DISKS: FaultWeights = { slowDisk: 2, diskError: 2 };
const HARM: FaultWeights = { flipBit: 2, loseDisk: 1, oldImage: 2 };

const PACES: readonly (readonly [number, number])[] = [
  [5, 120],
  [10, 250],
  [20, 500],
];

const HOSTS: Partial<Record<Flavour, readonly number[]>> = {
  figureEight: [3, 3, 5],
  reads: [3, 5, 5, 5],
  members: [3, 4, 5, 5, 6, 7],
  joint: [5, 6],
  disks: [3, 4, 5],
};

const FIVE_REPLICAS: Partial<Record<Flavour, number>> = { reads: 0.9, members: 0.2, joint: 0 };

const WEIGHTS: Record<Flavour, FaultWeights> = {
  mixed: { ...NETWORK, ...PROCESS, ...MEMBERS, ...DISKS, ...HARM, powerFailure: 1, restartAll: 1 },
  terms: { ...NETWORK, kill: 1, killLeader: 2, transfer: 2 },
  figureEight: { loss: 1, transfer: 1 },
  reads: { ...NETWORK, minority: 9, isolateLeader: 4, transfer: 3, transferCut: 2, pause: 2, killLeader: 2 },
  members: {
    ...MEMBERS,
    addLearner: 6,
    learnersOnly: 5,
    isolate: 1,
    isolateLeader: 2,
    killLeader: 2,
    crash: 1,
    loss: 1,
    halves: 1,
  },
  joint: { change: 6, addLearner: 5, learnersOnly: 6, loss: 1, killLeader: 1, transfer: 1 },
  snapshots: { ...MEMBERS, isolate: 4, crash: 4, kill: 2, slowDisk: 2, reset: 2, loss: 1 },
  disks: { flipBit: 6, loseDisk: 2, oldImage: 4, ...DISKS, crash: 3, powerFailure: 1, restartAll: 1, transfer: 1 },
  crashes: { crash: 5, powerFailure: 4, killLeader: 3, loss: 2, slowDisk: 2, isolateLeader: 2, move: 1, reset: 1 },
};

/** Draws the shape of a world. */
export function shapeWorld(random: SimRandom, wanted: Flavour | undefined): WorldShape {
  const drawn = random.pick(FLAVOURS);
  const flavour = wanted ?? drawn;
  const hosts = random.pick(HOSTS[flavour] ?? [3, 3, 4, 4, 5, 5, 6, 7]);
  const replicas = hosts >= 5 && random.chance(FIVE_REPLICAS[flavour] ?? 0.5) ? 5 : 3;
  const isStormy = flavour === "terms" || flavour === "reads" || random.chance(0.15);
  const cutsLogs = flavour === "snapshots" || random.chance(0.5);
  return {
    flavour,
    hosts,
    replicas,
    groups: flavour === "figureEight" || flavour === "joint" ? 1 : random.pick([1, 1, 2, 3]),
    chaosMs: random.between(1_500, 3_000),
    restMs:
      flavour === "figureEight"
        ? [200, 900]
        : flavour === "disks" || flavour === "joint"
          ? [40, 400]
          : random.pick(PACES),
    weights: WEIGHTS[flavour],
    scenes: flavour === "figureEight",
    cutNewLeaderRatio: isStormy && flavour !== "figureEight" ? random.fraction() * 0.6 : 0,
    crashAtInstallRatio: flavour === "snapshots" ? 0.4 : 0.05,
    ghostRatio: random.chance(0.5) ? 0.5 : 0,
    process: {
      limits: {
        tickMs: random.pick([10, 15, 20]),
        electionTicks: random.between(6, 10),
        heartbeatTicks: random.pick([1, 2]),
        maxMessageBytes: random.pick([1, 1, 200, 4096, 1 << 20]),
        maxInflightMessages: random.pick([2, 8, 256]),
        maxLogEntries: cutsLogs ? random.pick([4, 10, 30]) : 100_000,
      },
      segmentBytes: random.pick([2_000, 8_000, 1 << 20]),
      cacheBytes: random.pick([0, 2_000, 1 << 20]),
      slowApplyRatio: random.chance(0.3) ? 0.2 : 0,
      persistMs: random.pick([
        [1, 10],
        [10, 200],
        [200, 1_500],
      ]),
      driftRatio: flavour === "reads" ? 0.1 : random.pick([0, 0.01, 0.1]),
    },
    clients: {
      clients: random.between(3, 6),
      keysPerGroup: random.pick([1, 2, 4]),
      pauseMs: flavour === "reads" ? 12 : random.pick([10, 25, 60]),
      readRatio: flavour === "reads" ? 0.7 : random.pick([0.2, 0.4]),
    },
  };
}
