/**
 * metadata: what PD keeps for ever, in a replicated key-value store of its own (group 1). Used by the service: everything is loaded when
 * leadership begins, changes are written as they happen. It decides nothing and caches nothing.
 */
export { openEngineMetadata } from "./engine-metadata.js";
export { IdSource } from "./id-source.js";
export type { EngineMetadataOptions, EngineMetadataStore } from "./engine-metadata.js";
export { FIRST_MEMBER, markReady, openMemberIdentity, setMemberId } from "./member-identity.js";
export type { MemberIdentity } from "./member-identity.js";
export { MemoryMetadata } from "./memory-metadata.js";
export type { MetadataEntry, MetadataStore } from "./metadata-store.js";
export { Records } from "./records.js";
export type { PersistedState } from "./records.js";
export { WriteBehind } from "./write-behind.js";
