/** The ranges that this store's regions hold or claim, by key. Invariant: no two overlap. */
import { overlaps, type RegionDescriptor } from "../format/descriptor.js";

/** Something with a range: a region. */
export interface RangeHolder {
  readonly regionId: number;
  readonly descriptor: RegionDescriptor;
}

/** Finds regions by key. Sorted at the first lookup after a change, as changes are rare. */
export class RangeIndex<T extends RangeHolder> {
  readonly #holders = new Set<T>();
  #sorted: T[] | undefined;

  add(holder: T): void {
    this.#holders.add(holder);
    this.#sorted = undefined;
  }

  delete(holder: T): void {
    this.#holders.delete(holder);
    this.#sorted = undefined;
  }

  /** Says that a holder's range changed. */
  touch(): void {
    this.#sorted = undefined;
  }

  /** All holders by start key. */
  sorted(): readonly T[] {
    this.#sorted ??= [...this.#holders].sort((a, b) => (a.descriptor.start < b.descriptor.start ? -1 : 1));
    return this.#sorted;
  }

  /** The holder of a key (Latin-1). */
  find(key: string): T | undefined {
    const sorted = this.sorted();
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((sorted[middle]?.descriptor.start ?? "") <= key) low = middle + 1;
      else high = middle;
    }
    const holder = sorted[low - 1];
    if (holder === undefined) return undefined;
    const { end } = holder.descriptor;
    return end === "" || key < end ? holder : undefined;
  }

  /** All holders that share a key with the range. */
  overlapping(range: { readonly start: string; readonly end: string }): T[] {
    return this.sorted().filter((holder) => overlaps(holder.descriptor, range));
  }
}
