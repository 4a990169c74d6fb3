/**
 * node: the multi-group host. Called by the owner of a process (the store), on the event loop; calls the state machines of its groups,
 * never re-entrantly. It knows nothing of regions, keys or PD: what a group is for is its state machine's business.
 *
 * Who calls whom: host -> group -> {apply, proposals, read-index, requests, storage-adapter, truncation}; host -> turn-log, snapshots-*,
 * ../transport. Data flows one way: message or proposal -> group -> core -> (turn) log and links -> apply -> state machine.
 */
export { createRaftHost } from "./host.js";
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
} from "./api.js";
