/**
 * Changes of one store's record one after the other: each sees what the one before left, in memory and on disk. Without it a write that
 * began earlier could bring back on disk what a later one changed, and a drain could be cancelled and finished at once.
 */

const ignore = (): void => undefined;

/** The queue of changes, per store. */
export class StoreChanges {
  readonly #tails = new Map<number, Promise<void>>();

  /** Runs `work` when all changes of the store that were asked for earlier have ended. Settles as `work` does. */
  run<T>(storeId: number, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(storeId);
    const result = before === undefined ? work() : before.then(work);
    const tail: Promise<void> = result
      .then(ignore, ignore) // who asked hears of a failure; who waits in line does not
      .then(() => {
        if (this.#tails.get(storeId) === tail) this.#tails.delete(storeId);
      });
    this.#tails.set(storeId, tail);
    return result;
  }
}
