/**
 * raft: consensus as a library. `openLog` opens a process's write-ahead log, `createRaftHost` runs many groups over it (README.md shows
 * how they are put together). The pure algorithm is an entry of its own, `@rhea/raft/core`.
 */
export {
  firstPeers,
  formatConfiguration,
  formatPeer,
  parseConfiguration,
  parsePeer,
  storeIdOf,
  type Configuration,
} from "./cli/index.js";
export type { ConfState, Entry, HardState, PeerId } from "./core/types.js";
export { claimIdentity, createIdentity, readIdentity, verifyIdentity } from "./identity/identity.js";
export type { ClaimedIdentity, Identity, IdentityDirectories } from "./identity/identity.js";
export { watchIdentity } from "./identity/identity-watch.js";
export { inspectLog, openLog } from "./log/index.js";
export type {
  GroupLifecycle,
  GroupLog,
  InspectedFrame,
  LogInspection,
  LogOptions,
  LogRecord,
  LogStats,
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
  NodeStatus,
  PeerInfo,
  PeerStatus,
  RaftHost,
  RaftHostOptions,
  RaftNode,
  RaftObserver,
  SavedSnapshot,
  SnapshotFiles,
  StateMachine,
  Task,
  UnknownPeerMessage,
} from "./node/index.js";
