/**
 * Plays figure 8 of the raft paper on one group: a leader is cut off before anybody has the entry that begins its term, the next one too,
 * then the first comes back, wins, spreads its old entry, and is cut off at the moment it applies that; then the second comes back.
 */
import type { EventQueue } from "../world/event-queue.js";
import type { SimRandom } from "../world/random.js";
import type { Walls } from "../world/walls.js";
import type { RaftProcess } from "./raft-process.js";

/** What a scene needs. */
export interface SceneSetting {
  readonly queue: EventQueue;
  readonly random: SimRandom;
  readonly walls: Walls;
  readonly stores: () => readonly RaftProcess[];
  readonly mark: (name: string) => void;
}

/** Plays scenes, one at a time. */
export interface FigureEightScene {
  readonly isRunning: boolean;
  /** Begins with the group's present leader in exile; does nothing where there is none. */
  begin(groupId: number): void;
  onLeader(store: RaftProcess, groupId: number, term: number): void;
  onCommitted(store: RaftProcess, groupId: number, firstTerm: number): void;
  end(): void;
}

/** Nobody was elected, or nothing old committed: the scene is over. */
const PATIENCE_MS = 900;
/** When the winner of each step goes: at once, or when it commits what an earlier term wrote. */
const PLOT: readonly ("atOnce" | "atOldCommit" | "stays")[] = ["atOnce", "atOnce", "atOldCommit", "stays"];

/** Makes a stage without a scene. */
export function createFigureEightScene({ queue, random, walls, stores, mark }: SceneSetting): FigureEightScene {
  let playing = 0;
  let step = 0;
  let lower: (() => void) | undefined;
  /** The winner whose commit of an old entry is awaited. */
  let awaited: { readonly store: RaftProcess; readonly term: number } | undefined;
  let number = 0;

  const end = (): void => {
    lower?.();
    lower = undefined;
    awaited = undefined;
    playing = 0;
    number++;
  };
  const unlessItMovesOn = (delayMs: number, act: () => void): void => {
    const [current, reached] = [number, step];
    queue.plan(delayMs, () => {
      if (number === current && step === reached) act();
    });
  };
  const exile = ({ node }: RaftProcess): void => {
    const free = lower;
    awaited = undefined;
    lower = walls.raiseAround(
      node,
      stores().map((store) => store.node),
    );
    free?.();
  };

  return {
    get isRunning() {
      return playing !== 0;
    },
    begin: (groupId) => {
      const leader = stores().find((store) => store.host?.group(groupId)?.isLeader === true);
      if (leader === undefined) return;
      end();
      playing = groupId;
      step = 0;
      exile(leader);
      unlessItMovesOn(PATIENCE_MS, end);
    },
    onLeader: (store, groupId, term) => {
      if (groupId !== playing) return;
      const act = random.chance(0.1) ? random.pick(PLOT) : (PLOT[step] ?? "stays");
      step++;
      mark(`figureEight${step}`);
      if (act === "stays") unlessItMovesOn(random.between(50, 300), end);
      else if (act === "atOldCommit") awaited = { store, term };
      else if (random.chance(0.85)) exile(store);
      else
        unlessItMovesOn(random.fraction() ** 2 * 30, () => {
          exile(store);
        });
      unlessItMovesOn(PATIENCE_MS, end);
    },
    onCommitted: (store, groupId, firstTerm) => {
      if (groupId !== playing || store !== awaited?.store || firstTerm >= awaited.term) return;
      mark("cutAtOldCommit");
      exile(store);
    },
    end,
  };
}
