/**
 * The host's border, JRaft's Node, Task, StateMachine and CliService for many groups in one process: `state-machine.ts` is what an embedder
 * writes, `node-api.ts` one group's peer, `host-api.ts` the host of all groups.
 */
export type {
  HostLimits,
  HostStats,
  LinkStats,
  RaftHost,
  RaftHostOptions,
  RaftObserver,
  ReplicatorChange,
  ReplicatorState,
} from "./host-api.js";
export type {
  ChangeOptions,
  GroupOptions,
  NodeMetrics,
  NodeState,
  NodeStatus,
  PeerStatus,
  RaftNode,
  SnapshotOptions,
  UserLog,
} from "./node-api.js";
export type { GroupDescription, PeerInfo, UnknownPeerMessage } from "./peer-info.js";
export type { CommittedConfChange, CommittedEntry, StateMachine, Task } from "./state-machine.js";
export type { SavedSnapshot, SnapshotFiles, SnapshotWriter } from "../snapshot/api.js";
