import { InvariantError, type RheaError } from "@rhea/common";
import type { InstalledSnapshot } from "./apply.js";

/** Hears how a staged snapshot ended: durable (or not needed), or why not. */
export type StagedDone = (error: RheaError | undefined) => void;

/** Holds the one staged snapshot that a group has stepped into its core, until the core takes or ignores it. */
export class StagedSlot {
  readonly #discard: (snapshot: InstalledSnapshot) => void;
  #staged: InstalledSnapshot | undefined;
  #done: StagedDone | undefined;

  /** `discard` removes files that nobody wants. */
  constructor(discard: (snapshot: InstalledSnapshot) => void) {
    this.#discard = discard;
  }

  get isFull(): boolean {
    return this.#staged !== undefined;
  }

  /** Whether a snapshot is on its way through the core, or its install record to the disk. */
  get isBusy(): boolean {
    return this.#done !== undefined;
  }

  put(snapshot: InstalledSnapshot, done: StagedDone): void {
    this.#staged = snapshot;
    this.#done = done;
  }

  /** The core installs the snapshot at `index`. */
  take(index: number): InstalledSnapshot {
    const staged = this.#staged;
    if (staged?.saved.index !== index)
      throw new InvariantError(`a snapshot at ${index} is installed that was not staged`);
    this.#staged = undefined;
    return staged;
  }

  /** The core has ignored what is still here (it brought nothing, which is as good as installed), or the group ends. */
  end(error: RheaError | undefined): void {
    if (this.#staged !== undefined) this.#discard(this.#staged);
    this.#staged = undefined;
    const done = this.#done;
    this.#done = undefined;
    done?.(error);
  }
}
