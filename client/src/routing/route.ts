/** One region as the client knows it: where it lies and on which stores. */
import type { RegionDetail } from "@rhea/common";
import { PeerRole, type Region } from "@rhea/proto";

/** One replica of a region. */
export interface Replica {
  readonly storeId: number;
  /** Learners can neither lead nor vote; they are asked last. */
  readonly isLearner: boolean;
}

/**
 * A region's range, epoch and replicas. Immutable: a newer epoch is a new object, so the object itself is the eviction token that
 * says which version of the entry an attempt was made with.
 */
export interface Route {
  readonly regionId: number;
  /** Latin-1, inclusive. */
  readonly start: string;
  /** Latin-1, exclusive; empty: the end of the keyspace. */
  readonly end: string;
  readonly confVer: number;
  readonly version: number;
  readonly replicas: readonly Replica[];
}

/** Turns a region of a message or of an error into a route. */
export function toRoute(region: Region | RegionDetail): Route {
  return {
    regionId: region.regionId,
    start: Buffer.from(region.startKey).toString("latin1"),
    end: Buffer.from(region.endKey).toString("latin1"),
    confVer: region.epoch?.confVer ?? 0,
    version: region.epoch?.version ?? 0,
    replicas: region.peers.map((peer) => ({
      storeId: peer.storeId,
      isLearner: peer.role === PeerRole.LEARNER,
    })),
  };
}

/** Whether `key` (Latin-1) lies in the region. */
export function covers(route: Route, key: string): boolean {
  return key >= route.start && (route.end === "" || key < route.end);
}

/** Whether [start, end) lies in the region (Latin-1; an empty end is the end of the keyspace). */
export function coversRange(route: Route, start: string, end: string): boolean {
  return start >= route.start && (route.end === "" || (end !== "" && end <= route.end));
}

/** Whether two overlapping or equal regions' knowledge `a` is from a later time than `b`. */
export function isNewer(a: Route, b: Route): boolean {
  return a.version !== b.version ? a.version > b.version : a.confVer > b.confVer;
}
