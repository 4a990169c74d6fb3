/** Closed-loop load: a number of callers that each wait for their answer before the next call. */

/** What a run measured. */
export interface LoadResult {
  readonly operations: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The longest time in which no call at all was answered. */
  readonly longestPauseMs: number;
}

/** Runs `call` from `concurrency` callers for `seconds`. `call` gets a running number. The first failure ends the run. */
export async function runLoad(
  concurrency: number,
  seconds: number,
  call: (n: number) => Promise<unknown>,
): Promise<LoadResult> {
  const beginMs = performance.now();
  const endMs = beginMs + seconds * 1000;
  const latencies: number[] = [];
  let next = 0;
  let lastAnswerMs = beginMs;
  let longestPauseMs = 0;
  const caller = async (): Promise<void> => {
    for (;;) {
      const startMs = performance.now();
      if (startMs >= endMs) return;
      await call(next++);
      const nowMs = performance.now();
      latencies.push(nowMs - startMs);
      longestPauseMs = Math.max(longestPauseMs, nowMs - lastAnswerMs);
      lastAnswerMs = nowMs;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
  const elapsed = (performance.now() - beginMs) / 1000;
  latencies.sort((a, b) => a - b);
  const quantile = (q: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))] ?? 0;
  return {
    operations: latencies.length,
    seconds: elapsed,
    perSecond: latencies.length / elapsed,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    longestPauseMs,
  };
}
