import type { Entry } from "./types.js";

/**
 * Returns the bytes an entry counts against size limits: what a protobuf encoding of it would take, so that limits mean the same
 * as in other implementations.
 */
export function entrySize(entry: Entry): number {
  const length = entry.data.length;
  const data = length === 0 ? 0 : 1 + varintSize(length) + length;
  return 2 + 1 + varintSize(entry.term) + 1 + varintSize(entry.index) + data;
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
  for (const entry of entries) size += entry.data.length;
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
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}
