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
export { errorFromProto, errorToProto } from "./format/wire-error.js";
export type { KvBatch, KvEngine, KvEntry, KvIterator, KvRange, KvSnapshot } from "./kv/engine.js";
