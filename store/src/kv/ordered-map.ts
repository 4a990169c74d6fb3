/** sorted-btree as an ordered map from Latin-1 keys, loaded so that every module loader gives the same class. */
import { createRequire } from "node:module";
import type sortedBtree from "sorted-btree";

type BTreeConstructor = (typeof sortedBtree)["default"];

/** An ordered map from Latin-1 keys with O(1) clones. */
export type OrderedMap<V> = InstanceType<typeof sortedBtree.default<string, V>>;

// The package is CommonJS with an `__esModule` mark: an import's default is the class under some loaders and its namespace under others.
const { default: BTree } = createRequire(import.meta.url)("sorted-btree") as { default: BTreeConstructor };

/** Makes an empty map. */
export function createOrderedMap<V>(): OrderedMap<V> {
  return new BTree<string, V>(undefined, (a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
