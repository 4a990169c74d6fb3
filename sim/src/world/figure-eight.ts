/**
 * Plays figure 8 of the raft paper on one region: a leader is cut off before anybody has the entry that begins its term, the next one too,
 * then the first comes back, wins, spreads its old entry, and is cut off at the moment it applies that; then the second comes back.
 * One store is in exile at any time; whoever wins among the others goes next and frees it. The moments vary.
 */
import type { EventQueue } from "./event-queue.js";
import type { SimRandom } from "./random.js";
import type { Walls } from "./walls.js";

/** What a scene needs. */
export interface FigureEightOptions {
  readonly queue: EventQueue;
  readonly random: SimRandom;
  readonly walls: Walls;
  /** Names of all stores' nodes; store n is at n - 1. */
  readonly nodes: readonly string[];
  readonly count: (name: string) => void;
}

/** Plays scenes, one at a time. */
export interface FigureEight {
  readonly isRunning: boolean;
  /** Begins with the region's present leader in exile. */
  begin(regionId: number, leaderStoreId: number): void;
  onLeader(storeId: number, groupId: number, term: number): void;
  onCommitted(storeId: number, groupId: number, term: number): void;
  end(): void;
}

/** Nobody was elected, or nothing old committed: the scene is over. */
const PATIENCE_MS = 3_500;
/** When the winner of each step goes: at once, or when it commits what an earlier term wrote. */
const PLOT: readonly ("atOnce" | "atOldCommit" | "stays")[] = ["atOnce", "atOnce", "atOldCommit", "stays"];

/** Makes a stage without a scene. */
export function createFigureEight({ queue, random, walls, nodes, count }: FigureEightOptions): FigureEight {
  let regionId = 0;
  let step = 0;
  let lower: (() => void) | undefined;
  /** The winner whose commit of an old entry is awaited. */
  let awaited: { readonly storeId: number; readonly term: number } | undefined;
  let scene = 0;

  const end = (): void => {
    lower?.();
    lower = undefined;
    awaited = undefined;
    regionId = 0;
    scene++;
  };
  /** Plans what happens unless the scene moves on before. */
  const unlessItMovesOn = (delayMs: number, act: () => void): void => {
    const [current, reached] = [scene, step];
    queue.plan(delayMs, () => {
      if (scene === current && step === reached) act();
    });
  };
  const exile = (storeId: number): void => {
    const free = lower;
    awaited = undefined;
    lower = walls.raiseAround(nodes[storeId - 1] ?? "", nodes);
    free?.();
  };

  return {
    get isRunning() {
      return regionId !== 0;
    },
    begin: (region, leaderStoreId) => {
      end();
      regionId = region;
      step = 0;
      exile(leaderStoreId);
      unlessItMovesOn(PATIENCE_MS, end);
    },
    onLeader: (storeId, groupId, term) => {
      if (groupId !== regionId) return;
      const act = random.chance(0.1) ? random.pick(PLOT) : (PLOT[step] ?? "stays");
      step++;
      count(`figureEight${step}`);
      const delayMs = random.chance(0.85) ? 0 : random.fraction() ** 2 * 30;
      if (act === "stays") unlessItMovesOn(random.between(100, 600), end);
      else if (act === "atOldCommit") awaited = { storeId, term };
      else if (delayMs === 0) exile(storeId);
      else
        unlessItMovesOn(delayMs, () => {
          exile(storeId);
        });
      unlessItMovesOn(PATIENCE_MS, end);
    },
    onCommitted: (storeId, groupId, term) => {
      if (groupId !== regionId || storeId !== awaited?.storeId || term >= awaited.term) return;
      count("cutAtOldCommit");
      exile(storeId);
    },
    end,
  };
}
