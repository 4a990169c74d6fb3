/** Time, timers and randomness of Node. */
import { randomBytes, randomInt } from "node:crypto";
import type { Clock, Rng, Scheduler } from "../env.js";

/** The process's clock. */
export const nodeClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};

/** The process's event loop. Timers are unreferenced: they alone do not keep the process alive. */
export const nodeScheduler: Scheduler = {
  setTimer(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    timer.unref();
    return {
      cancel: () => {
        clearTimeout(timer);
      },
    };
  },
  nextTurn(run) {
    setImmediate(run);
  },
};

/** The system's random source. */
export const nodeRng: Rng = {
  int: (bound) => randomInt(bound),
  bytes: (length) => randomBytes(length),
};
