/**
 * pd: the placement driver: identity, routes, ids, store and region heartbeats, and the scheduling of leaders, peers and splits. It embeds
 * the store engine for its metadata. The process is `rhea-pd` (`bin/`); Node's wiring is `@rhea/pd/env-node`. See README.md.
 */
export { DEFAULT_SETTINGS } from "./cluster/index.js";
export type { ClusterSettings } from "./cluster/index.js";
export { MemoryMetadata, openEngineMetadata } from "./metadata/index.js";
export type { MetadataEntry, MetadataStore } from "./metadata/index.js";
export type { HeartbeatHandler, RegionReport } from "./pipeline/index.js";
export { startMember } from "./process/index.js";
export type { MemberConfig, MemberDependencies, RunningPd } from "./process/index.js";
export { createPd } from "./service/index.js";
export type { Pd, PdOptions } from "./service/index.js";
