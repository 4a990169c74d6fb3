/**
 * offline: reads the log of a process that does not run, for tools. Called by `rheactl offline`; it never writes, takes no lock and knows no running log: who calls
 * it makes sure that nobody has the log open.
 */
export { inspectLog, logFingerprint, readLog } from "../log/index.js";
export type { FrameGroup, GroupSummary, LogFinding, LogInspection, ReadItem, ReadRecord } from "../log/index.js";
