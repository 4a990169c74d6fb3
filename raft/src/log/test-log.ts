/** What the tests of this folder share: opening a log on a {@link TestDisk}, making records, and reading everything back. */
import { silentLogger, type RheaError } from "@rhea/common";
import type { Entry } from "../core/types.js";
import type { GroupLog, LogOptions, LogRecord, RaftLog } from "./api.js";
import { openLog } from "./open-log.js";
import { markPath } from "./durable-mark.js";
import { segmentPath } from "./segment-files.js";
import type { TestDisk } from "./test-disk.js";

/** Where test logs live. */
export const DIRECTORY = "wal";

/** An open log and the failures it reported. */
export interface TestLog {
  readonly log: RaftLog;
  readonly failures: RheaError[];
}

/** Opens a log with a clock that stands still. */
export async function openTestLog(disk: TestDisk, overrides: Partial<LogOptions> = {}): Promise<TestLog> {
  const failures: RheaError[] = [];
  const log = await openLog({
    disk,
    directory: DIRECTORY,
    clock: { monotonicMs: () => 1, wallMs: () => 1_000 },
    logger: silentLogger,
    onFailed: (error) => failures.push(error),
    ...overrides,
  });
  return { log, failures };
}

/** Makes an entry whose data tells index and term and is `bytes` long at least. */
export function entry(index: number, term = 1, bytes = 0): Entry {
  return { term, index, type: "normal", data: Buffer.from(`entry ${index} of term ${term}`.padEnd(bytes, ".")) };
}

/** Makes a record of the entries first..last. */
export function entries(groupId: number, first: number, last: number, term = 1, bytes = 0): LogRecord {
  const made = Array.from({ length: last - first + 1 }, (_, i) => entry(first + i, term, bytes));
  return { kind: "entries", groupId, entries: made };
}

/** Makes the record that begins an empty group. */
export function created(groupId: number, peerId = groupId * 10): LogRecord {
  return { kind: "created", groupId, peerId, index: 0, term: 0 };
}

/** Makes a hard state record. */
export function hardState(groupId: number, term: number, vote: number, commit: number): LogRecord {
  return { kind: "hardState", groupId, hardState: { term, vote, commit } };
}

/** Everything a group's log shows, with all entries read, in a form that `deepEqual` compares. */
export function dumpGroup(group: GroupLog): unknown {
  const { groupId, lifecycle, hardState, pendingInstall, truncatedIndex, truncatedTerm, lastIndex } = group;
  const read = group.entries(truncatedIndex + 1, lastIndex + 1, Number.MAX_SAFE_INTEGER);
  const texts = read.map(
    ({ index, term, type, data }) => `${index}/${term}/${type}/${Buffer.from(data).toString("latin1")}`,
  );
  return { groupId, lifecycle, hardState, pendingInstall, truncatedIndex, truncatedTerm, lastIndex, entries: texts };
}

/** All groups of a log, by id. */
export function dumpLog(log: RaftLog): unknown[] {
  return [...log.groups()].sort((a, b) => a.groupId - b.groupId).map(dumpGroup);
}

/** Path of a segment of a test log. */
export function segmentFile(sequence: number): string {
  return segmentPath(DIRECTORY, sequence);
}

/** Makes a disk that of a crash before what came after `earlier` was known to be durable: gives it the durable mark of that time. */
export function forgetDurableSince(disk: TestDisk, earlier: TestDisk): void {
  disk.put(markPath(DIRECTORY), earlier.content(markPath(DIRECTORY)));
}

/** Turns one bit of a file around. */
export function flipBit(disk: TestDisk, path: string, offset: number): void {
  const bytes = Buffer.from(disk.content(path));
  bytes.writeUInt8(bytes.readUInt8(offset) ^ 0x10, offset);
  disk.put(path, bytes);
}
