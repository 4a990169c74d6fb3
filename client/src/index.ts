/**
 * client: the library that people import. Routes calls to the regions' leaders, batches them over one stream per store, retries within a
 * deadline, applies every write at most once. Called by applications, the operator (administration), rheactl and the benchmarks. It keeps no
 * data and decides nothing about placement. `@rhea/client/env-node` has `connect` for Node; here is what works in any environment.
 */
export { createAdmin, createClient } from "./client.js";
export type { ClientEnvironment, ClientStats, RheaClient } from "./client.js";
export type { CallOptions, ConnectOptions, ReadOptions } from "./options.js";
export type { Key, Value } from "./keys.js";
export type { Sequence, SingleKeyCalls } from "./calls/single-key.js";
export { PartialWriteError } from "./calls/multi-key.js";
export type { CompareAndPutEntry, MultiKeyCalls, PutEntry } from "./calls/multi-key.js";
export type { RegionFailure } from "./calls/fan-out.js";
export type { Entry, IteratorOptions, ScanCalls, ScanOptions } from "./calls/scan.js";
export type { BatchCalls, BatchOperation, BatchValue } from "./calls/batch.js";
export type {
  Admin,
  ChangeOptions,
  OperationKind,
  OperationRequest,
  Origin,
  PdMemberInfo,
  PdMemberState,
} from "./admin/admin.js";
export { peerRoleName, stepKindName, storeStateName } from "./admin/names.js";
export type {
  ClusterConfig,
  ClusterConfigInit,
  ClusterInfoResponse,
  Operation,
  RegionHealth,
  RegionRoute,
  ScanRegionsResponse,
  StoreInfo,
} from "@rhea/proto";
