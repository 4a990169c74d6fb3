import type { SnapshotStorage } from "./api.js";
import { fileSnapshotStorage } from "./file-snapshots.js";
import { memoryDisk } from "./memory-disk.js";

/**
 * Keeps a group's snapshots in memory: they end with the process, and the peer with them unless its log is kept in memory too. For tests,
 * and for groups that are made anew at every start. State machines read and write through {@link SnapshotStorage.disk} or their writer.
 */
export function memorySnapshotStorage(): SnapshotStorage {
  return fileSnapshotStorage({ disk: memoryDisk(), directory: "snapshots" });
}
