/** An environment whose time and turns a test drives by hand; disk and network are absent. Tests only. */
import { RheaError, silentLogger, type Clock, type Disk, type Net, type Rng, type Scheduler } from "@rhea/common";
import type { StoreEnvironment } from "../engine/api.js";

/** The environment and its levers. */
export interface VirtualEnv extends StoreEnvironment {
  /** Runs turns and settles promises until nothing is left to do now. */
  settle(): Promise<void>;
  /** Lets time pass: fires timers in order, settling after each. */
  advance(ms: number): Promise<void>;
}

/** Makes an environment at monotonic 0 and a fixed wall time. */
export function createVirtualEnv(disk?: Disk): VirtualEnv {
  let nowMs = 0;
  let turns: (() => void)[] = [];
  let timers: { at: number; run: () => void }[] = [];
  const absent = (what: string) => (): never => {
    throw new RheaError("INTERNAL", `this test has no ${what}`);
  };
  const clock: Clock = { monotonicMs: () => nowMs, wallMs: () => 1_700_000_000_000 + nowMs };
  const scheduler: Scheduler = {
    setTimer: (delayMs, run) => {
      const timer = { at: nowMs + delayMs, run };
      timers.push(timer);
      return { cancel: () => (timers = timers.filter((other) => other !== timer)) };
    },
    nextTurn: (run) => turns.push(run),
  };
  let seed = 1;
  const rng: Rng = {
    int: (bound) => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % bound;
    },
    bytes: (length) => Buffer.alloc(length, 7),
  };
  const microtasks = async (): Promise<void> => {
    for (let i = 0; i < 30; i++) await Promise.resolve();
  };
  const settle = async (): Promise<void> => {
    await microtasks();
    while (turns.length > 0) {
      const due = turns;
      turns = [];
      for (const run of due) run();
      await microtasks();
    }
  };
  const net: Net = { connect: absent("network"), createServer: absent("network") };
  return {
    clock,
    scheduler,
    rng,
    disk: disk ?? (new Proxy({}, { get: () => absent("disk") }) as Disk),
    net,
    logger: silentLogger,
    settle,
    advance: async (ms) => {
      const until = nowMs + ms;
      for (;;) {
        timers.sort((a, b) => a.at - b.at);
        const next = timers[0];
        if (next === undefined || next.at > until) break;
        timers.shift();
        nowMs = next.at;
        next.run();
        await settle();
      }
      nowMs = until;
    },
  };
}
