/** Limits how many snapshots a process saves at once; who comes first is served first. */
export class SaveSlots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** `limit` slots. */
  constructor(limit: number) {
    this.#free = limit;
  }

  /** Resolves with what gives the slot back, once there is one. */
  async take(): Promise<() => void> {
    if (this.#free > 0) this.#free--;
    else {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    let isGivenBack = false;
    return () => {
      if (isGivenBack) return;
      isGivenBack = true;
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    };
  }
}
