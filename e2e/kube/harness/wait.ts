/** Waiting for what the cluster does by itself. */
import { setTimeout as delay } from "node:timers/promises";

/** Pause between two questions, in ms. */
const ASK_EVERY_MS = 250;

/** Waits. For faults that must last a while; what happens by itself is awaited with {@link until}. */
export async function sleep(ms: number): Promise<void> {
  await delay(ms);
}

/** More about a wait that failed. */
export interface UntilOptions {
  /** Gathers what the reader of the failure wants to see. */
  readonly describe?: () => Promise<string>;
  /** Default 250 ms. */
  readonly everyMs?: number;
}

/**
 * Asks until the answer is something else than undefined, null or false, and returns it. An error of `ask` counts as "not yet"; the last
 * one is shown when the time is over.
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | null | false>,
  timeoutMs: number,
  { describe, everyMs = ASK_EVERY_MS }: UntilOptions = {},
): Promise<T> {
  const started = performance.now();
  for (;;) {
    let last = "";
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== null && answer !== false) return answer;
    } catch (error) {
      last = `\nlast error: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (performance.now() - started > timeoutMs) {
      const more = describe === undefined ? "" : `\n${await describe().catch((error: unknown) => String(error))}`;
      throw new Error(`not within ${(timeoutMs / 1000).toFixed(0)} s: ${what}${last}${more}`);
    }
    await delay(everyMs);
  }
}

/** Runs something and returns how long it took, in seconds with one decimal, beside its result. */
export async function timed<T>(run: () => Promise<T>): Promise<{ readonly seconds: string; readonly result: T }> {
  const started = performance.now();
  const result = await run();
  return { seconds: ((performance.now() - started) / 1000).toFixed(1), result };
}
