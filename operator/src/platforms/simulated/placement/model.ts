/** The values of the simulated PD: stores, regions, operations. */
import type { SimulatedProcess } from "../nodes/process.js";

/** A store that has registered. */
export interface SimStore {
  readonly storeId: number;
  readonly name: string;
  lifecycle: "up" | "draining" | "tombstone";
  drainOrigin: string;
  drainTotal: number;
  diskLost: boolean;
  evictUntilMs: number;
  /** As they were set through PD. */
  labels?: Readonly<Record<string, string>>;
  /** When PD heard it last. */
  heardMs: number;
  /** Its process, once that serves. */
  process: StoreProcess | undefined;
  /** Until when it could be reached last; now, if it can. */
  aliveMs: number;
}

/** A serving process. */
export interface StoreProcess extends SimulatedProcess {
  isReachable: boolean;
}

/** One replica. */
export interface SimPeer {
  readonly peerId: number;
  readonly storeId: number;
  isVoter: boolean;
}

/** A key range. */
export interface SimRegion {
  readonly regionId: number;
  peers: SimPeer[];
  /** 0 while it has none. */
  leaderStoreId: number;
  leaderLostMs: number;
  reportedMs: number;
  confVer: number;
}

/** One step of an operation. */
export interface SimStep {
  readonly kind: "add" | "promote" | "remove";
  readonly storeId: number;
}

/** A change of a region's membership. */
export interface SimOperation {
  readonly operationId: number;
  readonly regionId: number;
  readonly kind: string;
  readonly origin: string;
  readonly reason: string;
  readonly steps: readonly SimStep[];
  readonly startedMs: number;
  step: number;
  dueMs: number;
  state: "running" | "succeeded" | "cancelled" | "failed";
  finishedMs: number;
}

/** PD's settings. */
export interface SimConfig {
  replicas: number;
  repair: string;
  regionMaxBytes: number;
  regionMaxKeys: number;
  operationLimit: number;
  logLevel: string;
}

/** Whether a majority of the region's voters fulfils a condition. */
export function hasMajority({ peers }: SimRegion, isCounted: (storeId: number) => boolean): boolean {
  const voters = peers.filter(({ isVoter }) => isVoter);
  return voters.filter(({ storeId }) => isCounted(storeId)).length * 2 > voters.length;
}
