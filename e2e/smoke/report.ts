/** The steps of the smoke test: each with its seconds and its limit, its figures one per line. */

/** What a step may print. */
export interface StepLog {
  /** Prints one figure on a line of its own. */
  figure(name: string, value: string | number): void;
}

/** Runs steps and counts them. */
export interface Report {
  /**
   * Runs a step. It fails when it throws, and when it takes longer than its limit.
   *
   * @returns whether it passed
   */
  step(name: string, limitSeconds: number, run: (log: StepLog) => Promise<void>): Promise<boolean>;
  /** Counts a step that an earlier failure has left out. */
  leaveOut(name: string): void;
  /** Checks the time of all steps together and prints the closing line; true if nothing failed. */
  close(limitSeconds: number): boolean;
}

/** Makes a report on standard output. */
export function createReport(): Report {
  const started = performance.now();
  let passed = 0;
  let failed = 0;
  return {
    async step(name, limitSeconds, run) {
      const begin = performance.now();
      const seconds = () => (performance.now() - begin) / 1000;
      const figures: string[] = [];
      let cause: string | undefined;
      try {
        await withLimit(limitSeconds, run({ figure: (what, value) => figures.push(`        ${what}: ${value}`) }));
      } catch (error) {
        cause = error instanceof Error ? error.message : String(error);
      }
      if (cause === undefined && seconds() > limitSeconds) cause = "took too long";
      if (cause === undefined) passed++;
      else failed++;
      print(
        `${cause === undefined ? "ok     " : "FAILED "} ${name} (${seconds().toFixed(1)} s, limit ${limitSeconds} s)`,
      );
      for (const figure of figures) print(figure);
      if (cause !== undefined) print(`        ${cause}`);
      return cause === undefined;
    },
    leaveOut(name) {
      failed++;
      print(`FAILED  ${name} (not run: an earlier step failed)`);
    },
    close(limitSeconds) {
      const seconds = (performance.now() - started) / 1000;
      const isInTime = seconds <= limitSeconds;
      if (isInTime) passed++;
      else failed++;
      print(
        `${isInTime ? "ok     " : "FAILED "} all steps together (${seconds.toFixed(1)} s, limit ${limitSeconds} s)`,
      );
      print(`${passed} passed, ${failed} failed`);
      return failed === 0;
    },
  };
}

async function withLimit(limitSeconds: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${limitSeconds} s`)), limitSeconds * 1000);
  });
  try {
    await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
