/**
 * raft: consensus as a library. `openLog` opens a process's write-ahead log, `createRaftHost` runs many groups over it (README.md shows
 * how they are put together). The pure algorithm is an entry of its own, `@rhea/raft/core`.
 */
export {
  createCliService,
  createRouteTable,
  firstPeers,
  formatConfiguration,
  formatPeer,
  parseConfiguration,
  parsePeer,
  storeIdOf,
  type CliCallOptions,
  type CliService,
  type CliServiceOptions,
  type Configuration,
  type GivenConfiguration,
  type RebalanceResult,
  type RouteTable,
} from "./cli/index.js";
export type { ConfState, Entry, HardState, PeerId } from "./core/types.js";
export { claimIdentity, createIdentity, readIdentity, verifyIdentity } from "./identity/identity.js";
export type { ClaimedIdentity, Identity, IdentityDirectories } from "./identity/identity.js";
export { watchIdentity } from "./identity/identity-watch.js";
export { openLog, openMemoryLog } from "./log/index.js";
export type {
  GroupLifecycle,
  GroupLog,
  LogOptions,
  LogRecord,
  LogStats,
  MemoryLogOptions,
  PendingInstall,
  RaftLog,
} from "./log/index.js";
export { createRaftHost } from "./node/index.js";
export type {
  CommittedConfChange,
  CommittedEntry,
  GroupDescription,
  ChangeOptions,
  GroupOptions,
  HostLimits,
  HostStats,
  LinkStats,
  NodeMetrics,
  NodeState,
  NodeStatus,
  PeerInfo,
  PeerStatus,
  RaftHost,
  RaftHostOptions,
  RaftNode,
  RaftObserver,
  ReplicatorChange,
  ReplicatorState,
  SavedSnapshot,
  SnapshotFiles,
  SnapshotOptions,
  SnapshotWriter,
  StateMachine,
  Task,
  UnknownPeerMessage,
  UserLog,
} from "./node/index.js";
export { fileSnapshotStorage, memorySnapshotStorage } from "./snapshot/index.js";
export type {
  FileSnapshotOptions,
  SnapshotOwner,
  SnapshotPosition,
  SnapshotStorage,
  StorageContents,
  StoredSnapshot,
} from "./snapshot/index.js";
