import type { RheaCluster } from "./gen/rhea-cluster.js";
import { quantityBytes } from "./quantity.js";

/** A RheaCluster with every default filled in. What the plan reads; never written back. */
export interface DesiredCluster {
  readonly name: string;
  /** metadata.generation, or a counter of accepted files on a platform without one. */
  readonly generation: number;
  readonly storeReplicas: number;
  readonly engine: "leveldb" | "memory";
  /** Bytes a store may fill, if the user said so. */
  readonly storageBytes: number | undefined;
  readonly regionReplicas: number;
  readonly regionMaxBytes: number;
  readonly regionMaxKeys: number;
  readonly deadAfterMs: number;
  readonly maxReplacements: number;
  readonly logLevel: "error" | "warn" | "info" | "debug";
  readonly raft: { readonly tickMs: number; readonly electionTicks: number; readonly heartbeatTicks: number };
  readonly operationLimit: number;
  readonly mode: "Reconcile" | "Plan" | "Paused";
  readonly suspend: boolean;
}

/** Fills in the defaults of the CRD's descriptions (README.md of the design, "Defaults"). */
export function resolveCluster(cluster: RheaCluster, generation: number): DesiredCluster {
  const { stores, regions = {}, failover = {}, config = {}, mode = "Reconcile", suspend = false } = cluster.spec;
  return {
    name: cluster.metadata?.name ?? "",
    generation,
    storeReplicas: stores.replicas,
    engine: stores.engine ?? "leveldb",
    storageBytes: stores.storage === undefined ? undefined : quantityBytes(stores.storage.size),
    regionReplicas: regions.replicas ?? 3,
    regionMaxBytes: regions.maxBytes ?? 96 * 2 ** 20,
    regionMaxKeys: regions.maxKeys ?? 960_000,
    deadAfterMs: (failover.deadAfterSeconds ?? 300) * 1000,
    maxReplacements: failover.maxReplacements ?? 3,
    logLevel: config.logLevel ?? "info",
    raft: {
      tickMs: config.raft?.tickMs ?? 100,
      electionTicks: config.raft?.electionTicks ?? 8,
      heartbeatTicks: config.raft?.heartbeatTicks ?? 2,
    },
    operationLimit: config.schedule?.operationLimit ?? 8,
    mode,
    suspend,
  };
}
