/**
 * core: the raft algorithm as a pure state machine, one `RawNode` per peer and group. Inputs are method calls, outputs are values:
 * no I/O, clock, randomness or logging happens in here (randomness is a function of the options, events go to `onEvent`).
 * The host in raft/node calls it, from its turn and never concurrently. It does not store, send, apply or time anything.
 */
export { RawNode } from "./raw-node.js";
export type { StepResult } from "./raw-node.js";
export { MemoryStorage } from "./memory-storage.js";
export {
  ProposalDroppedError,
  SnapshotTemporarilyUnavailableError,
  StorageCompactedError,
  StorageUnavailableError,
} from "./errors.js";
export type { DropReason } from "./errors.js";
export {
  confChangeOfEntry,
  decodeConfChange,
  decodeConfChangeV2,
  encodeConfChange,
  encodeConfChangeV2,
} from "./conf-change-codec.js";
export { nextConfState } from "./conf-change.js";
export { EMPTY_CONF_STATE, isJoint, isVoter, voterIds } from "./tracker.js";
export { FIRST_RESET_TERM, generationOf, nextGenerationTerm } from "./generation.js";
export { entriesSize, entrySize } from "./entry-size.js";
export { makeMessage } from "./message.js";
export { decodeReadSequence, encodeReadSequence } from "./read-only.js";
export { raftEventLevel } from "./events.js";
export type { LogMarks, LogPosition, RaftEvent, RaftEventLevel, VoteJudgement } from "./events.js";
export { LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, NO_LIMIT, NO_PEER } from "./types.js";
export type {
  BasicStatus,
  ConfChange,
  ConfChangeSingle,
  ConfChangeTransition,
  ConfChangeType,
  ConfChangeV2,
  ConfState,
  Entry,
  EntryType,
  HardState,
  Message,
  MessageType,
  PeerId,
  ProgressState,
  ProgressStatus,
  RaftConfig,
  RaftStateType,
  RaftStatus,
  ReadOnlyOption,
  ReadState,
  Ready,
  Snapshot,
  SnapshotMetadata,
  SoftState,
  Storage,
} from "./types.js";
