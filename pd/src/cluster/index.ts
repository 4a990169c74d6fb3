/**
 * cluster: what PD knows, in memory: regions ordered by key, stores, settings, the id window. Pure structures; the service changes them on
 * the event loop, everything else reads {@link ClusterView}. No clock, no I/O, no decision.
 */
export { createCluster } from "./cluster.js";
export type { Cluster, ClusterView } from "./cluster.js";
export { IdWindow } from "./ids.js";
export { regionScore } from "./region-map.js";
export {
  describeRegion,
  isJoint,
  isVoter,
  peerById,
  peerOnStore,
  regionFromProto,
  regionToProto,
  votersOf,
} from "./region.js";
export type { RegionDescriptor, RegionPeer, RegionView } from "./region.js";
export { DEFAULT_SETTINGS, mergeSettings, mergeUpdates, settingsToProto } from "./settings.js";
export type { ClusterSettings } from "./settings.js";
export {
  identityFromProto,
  isEvictingLeaders,
  isLiveStore,
  stateForWire,
  storeFromRecord,
  storeHealth,
  storeToProto,
  storeToRecord,
} from "./store.js";
export type { StoreIdentity, StoreIntent, StoreView } from "./store.js";
