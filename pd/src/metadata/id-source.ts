/** Gives out ids: at once from the durable window, and refills it in blocks before it runs out. */
import { RheaError, type Logger } from "@rhea/common";
import { IdWindow } from "../cluster/index.js";
import type { Records } from "./records.js";

/** Ids per write. A restart skips what is left of the block: ids are never reused, gaps do not matter. */
const BLOCK = 1000;

/** The one source of store, region, peer and operation ids. */
export class IdSource {
  readonly #records: Records;
  readonly #logger: Logger;
  readonly #window: IdWindow;
  #refilling: Promise<void> | undefined;

  /** `end`: the persisted end of the window. */
  constructor(records: Records, end: number, logger: Logger) {
    this.#records = records;
    this.#logger = logger;
    this.#window = new IdWindow(end);
  }

  /** Takes `count` ids at once, or undefined when the window is short; it is being refilled then. */
  take(count: number): number | undefined {
    const first = this.#window.take(count);
    if (this.#window.available < BLOCK / 4) {
      this.#refill(count).catch((thrown: unknown) => {
        const error = RheaError.from(thrown);
        this.#logger.log("warn", "no new ids", { code: error.code, error: error.message });
      });
    }
    return first;
  }

  /** Takes `count` (1..100,000) consecutive ids; waits for a refill if it has to. */
  async allocate(count: number): Promise<number> {
    for (;;) {
      const first = this.#window.take(count);
      if (first !== undefined) return first;
      await this.#refill(count);
    }
  }

  /** Waits until `count` ids can be taken at once. */
  async ensure(count: number): Promise<void> {
    while (this.#window.available < count) await this.#refill(count);
  }

  /** Whether an id can have been given out. */
  wasGivenOut(id: number): boolean {
    return id > 0 && id < this.#window.next;
  }

  #refill(count: number): Promise<void> {
    this.#refilling ??= this.#moveEnd(count).finally(() => (this.#refilling = undefined));
    return this.#refilling;
  }

  async #moveEnd(count: number): Promise<void> {
    const from = this.#window.end;
    const to = from + Math.max(BLOCK, count);
    if (!(await this.#records.moveIdEnd(from, to))) {
      throw new RheaError("PD_NOT_LEADER", `the id window no longer ends at ${from}: another PD leader moved it`);
    }
    this.#window.extend(to);
  }
}
