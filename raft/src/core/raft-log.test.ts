import assert from "node:assert/strict";
import { entriesSize } from "./entry-size.js";
import { MemoryStorage } from "./memory-storage.js";
import { RaftLog } from "./raft-log.js";
import { NO_LIMIT, type Entry } from "./types.js";

const entry = (index: number, term: number, size = 10): Entry => ({
  term,
  index,
  type: "normal",
  data: new Uint8Array(size),
});
const range = (from: number, to: number, term = 1): Entry[] =>
  Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, term));
const indexes = (entries: readonly Entry[]): number[] => entries.map((e) => e.index);

/** Makes a log of 1..stored in storage and stored+1..last unstable. */
function logOf(stored: number, last: number, maxApplyingBytes = NO_LIMIT): { log: RaftLog; storage: MemoryStorage } {
  const storage = new MemoryStorage();
  storage.append(range(1, stored));
  const log = new RaftLog(storage, maxApplyingBytes, undefined);
  log.append(range(stored + 1, last));
  return { log, storage };
}

describe("RaftLog", () => {
  it("reads across the border between storage and the unstable tail, within a size limit", () => {
    const { log } = logOf(3, 6);
    const one = entriesSize([entry(1, 1)]);
    assert.deepEqual(indexes(log.slice(2, 7, NO_LIMIT)), [2, 3, 4, 5, 6]);
    assert.deepEqual(indexes(log.slice(2, 7, 3 * one)), [2, 3, 4]);
    assert.deepEqual(indexes(log.slice(2, 7, 2 * one)), [2, 3]);
    assert.deepEqual(indexes(log.slice(2, 7, 0)), [2]);
    assert.deepEqual(indexes(log.slice(4, 7, one + 1)), [4]);
    assert.throws(() => log.slice(2, 8, NO_LIMIT), /not within/);
  });

  it("replaces the tail from the first conflicting entry on, and nothing before", () => {
    const { log } = logOf(3, 6);
    assert.equal(log.maybeAppend(4, 1, 4, [entry(5, 1), entry(6, 2), entry(7, 2)]), 7);
    assert.deepEqual(
      [5, 6, 7].map((index) => log.term(index)),
      [1, 2, 2],
    );
    assert.equal(log.unstable.offset, 4);
    assert.equal(log.committed, 4);
    assert.equal(log.maybeAppend(2, 1, 0, [entry(3, 1)]), 3);
    assert.equal(log.lastIndex(), 7, "a late message with less truncates nothing");
  });

  it("refuses to replace what is committed", () => {
    const { log } = logOf(3, 6);
    log.commitTo(5);
    assert.throws(() => log.maybeAppend(3, 1, 5, [entry(4, 2)]), /conflicts with a committed entry/);
    assert.throws(() => log.append([entry(5, 2)]), /would replace committed/);
    assert.throws(() => log.commitTo(7), /beyond the last index/);
  });

  it("keeps entries that are being written until just these are stored", () => {
    const { log } = logOf(3, 6);
    log.unstable.acceptInProgress();
    assert.equal(log.unstable.hasNextEntries, false);
    log.append([entry(5, 2)]);
    assert.deepEqual(indexes(log.unstable.nextEntries()), [5]);
    log.unstable.stableTo(6, 1);
    log.unstable.stableTo(5, 1);
    assert.deepEqual(indexes(log.unstable.entries), [4, 5], "what was replaced meanwhile is not stored");
    log.unstable.stableTo(4, 1);
    assert.deepEqual(indexes(log.unstable.entries), [5]);
  });

  it("hands out committed entries within the limit until what is out is applied", () => {
    const one = entriesSize([entry(1, 1)]);
    const { log } = logOf(6, 6, 2 * one);
    log.commitTo(6);
    const first = log.nextCommitted(true);
    assert.deepEqual(indexes(first), [1, 2]);
    log.acceptApplying(2, entriesSize(first), true);
    assert.equal(log.hasNextCommitted(true), false);
    log.appliedTo(1, one);
    assert.deepEqual(indexes(log.nextCommitted(true)), [3]);
  });

  it("hands out what is committed but not stored only where that is allowed", () => {
    const { log } = logOf(3, 6);
    log.commitTo(5);
    assert.deepEqual(indexes(log.nextCommitted(false)), [1, 2, 3]);
    assert.deepEqual(indexes(log.nextCommitted(true)), [1, 2, 3, 4, 5]);
  });

  it("knows the term just before its first entry, and none further back or ahead", () => {
    const { log, storage } = logOf(6, 6);
    storage.compact(4);
    assert.deepEqual(
      [3, 4, 5, 7].map((index) => log.term(index)),
      [-1, 1, 1, -1],
    );
  });

  it("guesses where another log matches by skipping higher terms", () => {
    const { log, storage } = logOf(2, 2);
    log.append([...range(3, 5, 4), ...range(6, 7, 6)]);
    assert.deepEqual(log.findConflictByTerm(7, 5), { index: 5, term: 4 });
    assert.deepEqual(log.findConflictByTerm(7, 3), { index: 2, term: 1 });
    storage.compact(2);
    assert.deepEqual(log.findConflictByTerm(2, 0), { index: 1, term: 0 });
  });
});
