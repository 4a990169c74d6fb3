/** raft: consensus as a library. The types of the log's and the host's borders. */
export type { ConfState, Entry, HardState, PeerId } from "./core/types.js";
export type { GroupLifecycle, GroupLog, LogOptions, LogRecord, LogStats, PendingInstall, RaftLog } from "./log/api.js";
export type {
  CommittedConfChange,
  CommittedEntry,
  GroupDescription,
  GroupOptions,
  HostLimits,
  HostStats,
  NodeStatus,
  PeerInfo,
  PeerStatus,
  RaftHost,
  RaftHostOptions,
  RaftNode,
  SavedSnapshot,
  SnapshotFiles,
  StateMachine,
  Task,
  UnknownPeerMessage,
} from "./node/api.js";
