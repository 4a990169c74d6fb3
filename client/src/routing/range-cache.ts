/** The ordered cache of regions: pure, no I/O. Callers are the router (inserts) and the sender (lookups, evictions). */
import { createRequire } from "node:module";
import type sortedBtree from "sorted-btree";
import { covers, isNewer, type Route } from "./route.js";

// The package is CommonJS with an `__esModule` mark: an import's default is the class under some loaders and its namespace under others.
const { default: Tree } = createRequire(import.meta.url)("sorted-btree") as {
  default: (typeof sortedBtree)["default"];
};

/**
 * Start key -> region. Invariants: no two entries overlap; a region id stands there at most once; knowledge never goes back to an older epoch.
 */
export class RangeCache {
  readonly #tree = new Tree<string, Route>(undefined, (a, b) => (a < b ? -1 : a > b ? 1 : 0));
  readonly #byId = new Map<number, Route>();
  readonly #pair: [string, Route] = ["", undefined as unknown as Route];

  /** Returns the region that holds `key` (Latin-1). */
  get(key: string): Route | undefined {
    const pair = this.#tree.getPairOrNextLower(key, this.#pair);
    if (pair === undefined) return undefined;
    const route = pair[1];
    return route.end === "" || key < route.end ? route : undefined;
  }

  /** Returns the entry of a region. */
  region(regionId: number): Route | undefined {
    return this.#byId.get(regionId);
  }

  /** Number of entries. */
  get size(): number {
    return this.#tree.size;
  }

  /** All entries in key order. */
  routes(): Route[] {
    return this.#tree.valuesArray();
  }

  /**
   * Takes over what is newer than what is known, evicting every entry that it overlaps. Older knowledge is refused, the same one is
   * kept as it is (the same object). Returns whether the entry is in the cache now, as given or an equal one.
   */
  insert(route: Route): boolean {
    const known = this.#byId.get(route.regionId);
    if (known !== undefined) {
      if (isNewer(known, route)) return false;
      if (!isNewer(route, known)) return true;
    }
    const overlaps = this.#overlaps(route);
    for (const other of overlaps) {
      // Of different regions that overlap, the one with the higher version was split or merged later (confVer does not compare).
      if (other.regionId !== route.regionId && other.version > route.version) return false;
    }
    if (known !== undefined) this.#remove(known);
    for (const other of overlaps) this.#remove(other);
    this.#tree.set(route.start, route);
    this.#byId.set(route.regionId, route);
    return true;
  }

  /** Removes the entry if it is still this very one: a late error about an older version does not evict a fresh entry. */
  evict(route: Route): boolean {
    if (this.#byId.get(route.regionId) !== route) return false;
    this.#remove(route);
    return true;
  }

  /**
   * Names the hole of the cache in which `key` lies: the end of the entry before it. All keys of one hole may wait for one lookup.
   */
  holeAt(key: string): string {
    const pair = this.#tree.getPairOrNextLower(key, this.#pair);
    return pair === undefined ? "" : pair[1].end;
  }

  #overlaps(route: Route): Route[] {
    const found: Route[] = [];
    const before = this.#tree.getPairOrNextLower(route.start);
    if (before !== undefined && covers(before[1], route.start)) found.push(before[1]);
    let next = this.#tree.nextHigherPair(route.start);
    while (next !== undefined && (route.end === "" || next[0] < route.end)) {
      found.push(next[1]);
      next = this.#tree.nextHigherPair(next[0]);
    }
    return found;
  }

  #remove(route: Route): void {
    if (this.#tree.get(route.start) === route) this.#tree.delete(route.start);
    if (this.#byId.get(route.regionId) === route) this.#byId.delete(route.regionId);
  }
}
