import { confChangeOfEntry } from "./conf-change-codec.js";
import type { Entry } from "./types.js";

/**
 * Returns the bytes an entry counts against size limits: what etcd-io/raft's protobuf encoding of it takes, so that limits mean the
 * same as there.
 */
export function entrySize(entry: Entry): number {
  const head = 1 + varintSize(entry.term) + 1 + varintSize(entry.index);
  return entry.type === "normal" ? head + fieldSize(entry.data.length) : head + 2 + fieldSize(changeSize(entry));
}

/** Returns the bytes of an entry's membership change in that encoding, which is not the one this library stores. */
function changeSize(entry: Entry): number {
  const change = confChangeOfEntry(entry);
  if (change === undefined || entry.data.length === 0) return 0;
  let size = fieldSize(change.context.length);
  for (const { nodeId } of change.changes) {
    const single = 2 + 1 + varintSize(nodeId);
    size += entry.type === "confChange" ? single : fieldSize(single);
  }
  return entry.type === "confChange" ? size : size + 2;
}

/** Returns the bytes of a field of `length` bytes; an empty one is left out. */
function fieldSize(length: number): number {
  return length === 0 ? 0 : 1 + varintSize(length) + length;
}

/** Returns the bytes all entries together count. */
export function entriesSize(entries: readonly Entry[]): number {
  let size = 0;
  for (const entry of entries) size += entrySize(entry);
  return size;
}

/** Returns the payload bytes of the entries; empty entries are free, so that limits on them never stop a new leader. */
export function payloadSize(entries: readonly Entry[]): number {
  let size = 0;
  for (const entry of entries) size += entry.type === "normal" ? entry.data.length : changeSize(entry);
  return size;
}

/** Returns how many entries from `from` on fit in `maxBytes`: at least one, if there is one before `to`. */
export function countWithin(entries: readonly Entry[], from: number, to: number, maxBytes: number): number {
  let size = 0;
  for (let i = from; i < to; i++) {
    size += entrySize(entries[i] as Entry);
    if (size > maxBytes && i > from) return i - from;
  }
  return to - from;
}

function varintSize(value: number): number {
  // Nearly always: the loop of divisions is for what needs more than 31 bits.
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  let size = 5;
  for (let rest = Math.floor(value / 0x1000_0000); rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}
