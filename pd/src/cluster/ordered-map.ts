/**
 * The ordered map that the region map stands on. The package is CommonJS compiled from an ES module: Node gives its class as the default
 * of its default, loaders with the other convention (tsx under `require`) give it directly.
 */
import sortedBtree from "sorted-btree";

/** A map ordered by string keys; Latin-1 keys order like their bytes. */
export type OrderedMap<V> = sortedBtree.default<string, V>;

const loaded: unknown = sortedBtree;
const BTree = (typeof loaded === "function" ? loaded : sortedBtree.default) as typeof sortedBtree.default;

/** Orders by UTF-16 code units, which for Latin-1 are bytes. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Makes an empty ordered map. */
export function createOrderedMap<V>(): OrderedMap<V> {
  return new BTree<string, V>(undefined, compare);
}
