/** Lets long work on the event loop step aside every few milliseconds. */
import type { Clock, Scheduler } from "@rhea/common";

/** Work may keep the loop this long. */
const SLICE_MS = 4;

/** Makes a function to await between two slices of work: it yields to the loop when the time is used up. */
export function createPacer(clock: Clock, scheduler: Scheduler): () => Promise<void> {
  let began = clock.monotonicMs();
  return async () => {
    if (clock.monotonicMs() - began < SLICE_MS) return;
    await new Promise<void>((resolve) => scheduler.nextTurn(resolve));
    began = clock.monotonicMs();
  };
}
