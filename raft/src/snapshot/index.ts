/**
 * snapshot: what snapshots are and where a group's are kept. Called by the host for groups with the `snapshots` option; it does not decide
 * when to save, what to load or when the log is cut: `../node/node-snapshots.ts` does.
 */
export { fileSnapshotStorage } from "./file-snapshots.js";
export type { FileSnapshotOptions } from "./file-snapshots.js";
export { memorySnapshotStorage } from "./memory-snapshots.js";
export type { SnapshotOwner, SnapshotPosition, SnapshotStorage, StorageContents, StoredSnapshot } from "./api.js";
