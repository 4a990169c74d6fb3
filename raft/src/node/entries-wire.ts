/**
 * Entries in their wire form, written once for all followers that get the same. The generated encoder takes several times as long per entry:
 * this is where a leader's time goes.
 */
import type { Entry, EntryType } from "../core/types.js";

/** The numbers of entry types on the wire: positions here. Fixed. */
export const ENTRY_KINDS: readonly EntryType[] = ["normal", "confChange", "confChangeV2"];

/** Entries as the bytes of `RaftMessage.entries`. */
export interface EncodedEntries {
  /** The whole repeated field, tags and all; undefined without entries. */
  readonly field: Uint8Array | undefined;
  /** Bytes of the entries' data. */
  readonly dataBytes: number;
}

const NOTHING: EncodedEntries = { field: undefined, dataBytes: 0 };

// Tags of proto/rhea/raft.proto: number * 8 + wire type.
const TAG_ENTRIES = 10 * 8 + 2;
const TAG_KIND = 1 * 8;
const TAG_TERM = 2 * 8;
const TAG_INDEX = 3 * 8;
const TAG_DATA = 4 * 8 + 2;

/** Most bytes of an entry beside its data: five tags, a kind, two lengths of at most 5 bytes, term and index of at most 8. */
const MAX_OVERHEAD_BYTES = 5 + 1 + 2 * 5 + 2 * 8;
const TWO_31 = 0x8000_0000;

/** The entries encoded last: a leader sends the same ones to follower after follower. */
let last: { readonly entries: readonly Entry[]; readonly encoded: EncodedEntries } | undefined;

/** Encodes entries. Asked again for the same array, it answers with the same bytes: neither may be changed. */
export function encodeEntries(entries: readonly Entry[]): EncodedEntries {
  if (entries.length === 0) return NOTHING;
  if (last?.entries === entries) return last.encoded;
  let dataBytes = 0;
  for (const entry of entries) dataBytes += entry.data.length;
  const out = Buffer.allocUnsafe(dataBytes + entries.length * MAX_OVERHEAD_BYTES);
  let at = 0;
  for (const entry of entries) at = putEntry(out, at, entry);
  const encoded = { field: out.subarray(0, at), dataBytes };
  last = { entries, encoded };
  return encoded;
}

function putEntry(out: Uint8Array, start: number, { type, term, index, data }: Entry): number {
  const kind = type === "normal" ? 0 : ENTRY_KINDS.indexOf(type);
  const { length } = data;
  // As in every proto3 encoder, what is 0 or empty is left out.
  const size =
    (kind === 0 ? 0 : 2) +
    (term === 0 ? 0 : 1 + varintSize(term)) +
    (index === 0 ? 0 : 1 + varintSize(index)) +
    (length === 0 ? 0 : 1 + varintSize(length) + length);
  out[start] = TAG_ENTRIES;
  let at = putVarint(out, start + 1, size);
  if (kind !== 0) at = putField(out, at, TAG_KIND, kind);
  if (term !== 0) at = putField(out, at, TAG_TERM, term);
  if (index !== 0) at = putField(out, at, TAG_INDEX, index);
  if (length === 0) return at;
  at = putField(out, at, TAG_DATA, length);
  out.set(data, at);
  return at + length;
}

function putField(out: Uint8Array, at: number, tag: number, value: number): number {
  out[at] = tag;
  return putVarint(out, at + 1, value);
}

function putVarint(out: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest >= TWO_31; rest = Math.floor(rest / 128)) out[at++] = (rest % 128) | 128;
  for (; rest >= 128; rest >>>= 7) out[at++] = (rest & 127) | 128;
  out[at++] = rest;
  return at;
}

function varintSize(value: number): number {
  let size = 1;
  let rest = value;
  for (; rest >= TWO_31; rest = Math.floor(rest / 128)) size++;
  for (; rest >= 128; rest >>>= 7) size++;
  return size;
}
