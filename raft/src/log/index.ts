/**
 * log: the write-ahead log of a process, one for all its raft groups. Called by the host (`raft/src/node`) on the event loop: records
 * in, a promise out when they are durable, synchronous reads of everything appended. It decides nothing about raft and knows no
 * applied data: what may be truncated is the host's to say. Layout and recovery rules: docs/design/0001-formats.md.
 *
 * Who calls whom: write-ahead-log -> frame-pipeline -> frame, and -> group-records -> group-state -> entry-index, entry-cache;
 * open-log -> recovery -> replay -> damage; purger and durable-mark beside them; inspect-log for tools. memory-log is the same border without a disk.
 */
export { openLog } from "./open-log.js";
export { openMemoryLog } from "./memory-log.js";
export type { MemoryLogOptions } from "./memory-log.js";
export { inspectLog } from "./inspect-log.js";
export type { LogFinding, LogInspection } from "./inspect-log.js";
export { logFingerprint, readLog } from "./read-log.js";
export type { FrameGroup } from "./frame-codec.js";
export type { ReadItem, ReadRecord } from "./read-log.js";
export type { GroupSummary } from "./segment-head.js";
export type { GroupLifecycle, GroupLog, LogOptions, LogRecord, LogStats, PendingInstall, RaftLog } from "./api.js";
