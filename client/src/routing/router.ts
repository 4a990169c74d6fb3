/** What the client knows of the cluster: range cache, leader cache, address book, and the lookups that fill them. */
import { RheaError, fromLatin1, type Clock, type ErrorDetails } from "@rhea/common";
import type { RegionRoute, Store } from "@rhea/proto";
import { RangeCache } from "./range-cache.js";
import { toRoute, type Route } from "./route.js";

/** Regions a lookup asks for: the one wanted and those that follow it, which a scan or a list will want next. */
const PREFETCH = 16;
/** After a source failed the next one is asked first for this long. */
const SOURCE_PAUSE_MS = 1_000;
/** Lookups that brought only what is older than the cache, after which the cache is what is wrong (a cluster made anew). */
const MAX_OUTDATED_LOOKUPS = 5;

/** What a lookup answers: regions in key order and the stores they stand on. */
export interface RouteAnswer {
  readonly routes: readonly RegionRoute[];
  readonly stores: readonly Store[];
}

/** A place that knows routes: PD, or the stores themselves. */
export interface RouteSource {
  /** For messages. */
  readonly name: string;
  /** Returns the region that holds `key` and up to `count` - 1 regions after it. Rejects with a RheaError. */
  routes(key: Buffer, count: number): Promise<RouteAnswer>;
}

/** Counters of the router. */
export interface RouterStats {
  lookups: number;
  failedLookups: number;
}

/** See the file's header. Single-flight: all keys in one hole of the cache share one lookup. */
export class Router {
  readonly stats: RouterStats = { lookups: 0, failedLookups: 0 };
  readonly #clock: Clock;
  readonly #sources: readonly RouteSource[];
  readonly #pausedUntilMs: number[];
  readonly #cache = new RangeCache();
  readonly #leaders = new Map<number, number>();
  readonly #addresses = new Map<number, string>();
  readonly #flights = new Map<string, Promise<void>>();
  #outdatedLookups = 0;

  /** `sources`: in order of preference, at least one. */
  constructor(options: { readonly clock: Clock; readonly sources: readonly RouteSource[] }) {
    this.#clock = options.clock;
    this.#sources = options.sources;
    this.#pausedUntilMs = options.sources.map(() => 0);
  }

  /** The region that holds `key` (Latin-1), as far as it is known. */
  get(key: string): Route | undefined {
    return this.#cache.get(key);
  }

  /** Drops a region that failed, unless a newer version of it came meanwhile. */
  evict(route: Route): void {
    if (this.#cache.evict(route)) this.#leaders.delete(route.regionId);
  }

  /** The store that is believed to lead a region. */
  leaderOf(regionId: number): number | undefined {
    return this.#leaders.get(regionId);
  }

  setLeader(regionId: number, storeId: number): void {
    this.#leaders.set(regionId, storeId);
  }

  /** Forgets the leader if it is still this store. */
  clearLeader(regionId: number, storeId: number): void {
    if (this.#leaders.get(regionId) === storeId) this.#leaders.delete(regionId);
  }

  addressOf(storeId: number): string | undefined {
    return this.#addresses.get(storeId);
  }

  /** Stores and their addresses, as far as known. */
  addresses(): ReadonlyMap<number, string> {
    return this.#addresses;
  }

  learnAddress(storeId: number, address: string): void {
    if (storeId !== 0 && address !== "") this.#addresses.set(storeId, address);
  }

  /** Takes a region that a store named in an error. Where nothing better is known, that store is taken for its leader: a split's child campaigns at once where its parent leads. */
  learnRegion(route: Route, storeId: number): void {
    if (this.#cache.insert(route) && !this.#leaders.has(route.regionId)) this.#leaders.set(route.regionId, storeId);
  }

  /** Takes a NOT_LEADER hint. */
  learnLeader(regionId: number, leader: NonNullable<ErrorDetails["leader"]>): void {
    if (leader.address !== undefined) this.learnAddress(leader.storeId, leader.address);
    this.#leaders.set(regionId, leader.storeId);
  }

  /** Fills the cache at `key`. Rejects with the last source's error; a key that is known already costs nothing. */
  lookup(key: string): Promise<void> {
    if (this.#cache.get(key) !== undefined) return Promise.resolve();
    const hole = this.#cache.holeAt(key);
    let flight = this.#flights.get(hole);
    if (flight === undefined) {
      flight = this.#fetch(key).finally(() => this.#flights.delete(hole));
      this.#flights.set(hole, flight);
    }
    return flight.then(() => this.lookup(key)); // the flight that was joined may have been for another key of the hole
  }

  async #fetch(key: string): Promise<void> {
    const failures: { readonly name: string; readonly error: RheaError }[] = [];
    for (const index of this.#order()) {
      const source = this.#sources[index];
      if (source === undefined) continue;
      this.stats.lookups++;
      try {
        const answer = await source.routes(fromLatin1(key), PREFETCH);
        this.#learn(answer);
        if (this.#cache.get(key) !== undefined) {
          this.#outdatedLookups = 0;
          return;
        }
        failures.push({ name: source.name, error: this.#uncovered(answer) });
      } catch (error) {
        failures.push({ name: source.name, error: RheaError.from(error) });
        this.#pausedUntilMs[index] = this.#clock.monotonicMs() + SOURCE_PAUSE_MS;
      }
      this.stats.failedLookups++;
    }
    throw combine(failures);
  }

  #order(): number[] {
    const now = this.#clock.monotonicMs();
    const order = this.#sources.map((_, index) => index);
    const isPaused = (index: number): boolean => (this.#pausedUntilMs[index] ?? 0) > now;
    return [...order.filter((index) => !isPaused(index)), ...order.filter(isPaused)];
  }

  #learn(answer: RouteAnswer): void {
    for (const store of answer.stores) this.learnAddress(store.storeId, store.address);
    for (const { region, leader } of answer.routes) {
      if (region === null) continue;
      const route = toRoute(region);
      const isCurrent = this.#cache.insert(route);
      if (isCurrent && leader !== null && leader.storeId !== 0 && !this.#leaders.has(route.regionId)) {
        this.#leaders.set(route.regionId, leader.storeId);
      }
    }
  }

  #uncovered(answer: RouteAnswer): RheaError {
    if (answer.routes.length === 0) return new RheaError("REGION_NOT_FOUND", "no region holds the key");
    if (++this.#outdatedLookups >= MAX_OUTDATED_LOOKUPS) {
      this.#outdatedLookups = 0;
      for (const route of this.#cache.routes()) this.evict(route);
    }
    return new RheaError("REGION_NOT_FOUND", "the answer is older than what stores said, or leaves the key out");
  }
}

/** One error for all sources: the code of the preferred one, and what each of them said. */
function combine(failures: readonly { readonly name: string; readonly error: RheaError }[]): RheaError {
  const [first] = failures;
  const said = failures.map(({ name, error }) => `${name}: ${error.message}`).join("; ");
  return new RheaError(first?.error.code ?? "UNAVAILABLE", `route lookup: ${said}`, { cause: first?.error });
}
