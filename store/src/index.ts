/**
 * store: the region engine (raft groups over one ordered key-value engine) and the store process. PD embeds the engine for its
 * metadata; the simulator runs it on a virtual environment. Node's implementations (classic-level) are `@rhea/store/env-node`.
 */
export { openStoreEngine } from "./engine/open-store-engine.js";
export type {
  InitialRegion,
  LocalRow,
  RegionFault,
  RegionHandle,
  RegionState,
  StoreEngine,
  StoreEngineOptions,
  StoreEnvironment,
  StoreLimits,
} from "./engine/api.js";
export { descriptorFromProto, descriptorToProto } from "./format/descriptor.js";
export type { Epoch, PeerDescriptor, RegionDescriptor } from "./format/descriptor.js";
export { openMemoryKv } from "./kv/memory-engine.js";
export type { MemoryKvOptions } from "./kv/memory-engine.js";
export type { KvBatch, KvEngine, KvEntry, KvIterator, KvRange, KvSnapshot } from "./kv/engine.js";
export { STORE_CONFIG } from "./process/config.js";
export type { StoreConfig } from "./process/config.js";
export { parseFakePd } from "./process/fake-pd.js";
export type { FakePd } from "./process/fake-pd.js";
export { startStore } from "./process/start-store.js";
export type { RunningStore, StoreDependencies } from "./process/start-store.js";
