/** The ordered map that the region map stands on. The package is CommonJS: its class is the default of its default. */
import sortedBtree from "sorted-btree";

/** A map ordered by string keys; Latin-1 keys order like their bytes. */
export type OrderedMap<V> = sortedBtree.default<string, V>;

/** Makes an empty ordered map. */
export function createOrderedMap<V>(): OrderedMap<V> {
  return new sortedBtree.default<string, V>(undefined, sortedBtree.simpleComparator as (a: string, b: string) => number);
}
