/** The cluster's feature level: what every store and member speaks. Raised durably before it is told, never lowered. */
import { RheaError, type Logger } from "@rhea/common";

/** The level. */
export class FeatureLevel {
  #inForce: number;
  /** The level that is being made durable. */
  #raisingTo = 0;
  readonly #save: (level: number) => Promise<void>;
  readonly #logger: Logger;

  /** `persisted`: the level so far. */
  constructor(persisted: number, save: (level: number) => Promise<void>, logger: Logger) {
    this.#inForce = persisted;
    this.#save = save;
    this.#logger = logger;
  }

  get inForce(): number {
    return this.#inForce;
  }

  /** What a newcomer must speak: also the level that is about to be in force. */
  get required(): number {
    return Math.max(this.#inForce, this.#raisingTo);
  }

  /** Raises the level to the least of `spoken` if that is higher; none: nothing. */
  async consider(spoken: readonly number[]): Promise<void> {
    const least = Math.max(1, Math.min(...spoken));
    if (spoken.length === 0 || least <= this.#inForce || this.#raisingTo > 0) return;
    this.#raisingTo = least;
    try {
      await this.#save(least);
      this.#inForce = least;
      this.#logger.log("info", "the cluster's feature level rises", { level: least });
    } catch (thrown) {
      const { code, message } = RheaError.from(thrown);
      this.#logger.log("warn", "the feature level could not be raised, tries again", { code, error: message });
    } finally {
      this.#raisingTo = 0;
    }
  }
}
