import { crc32, RheaError } from "@rhea/common";
import type { ConfState, Entry, EntryType, HardState } from "../core/types.js";
import type { LogRecord, PendingInstall } from "./api.js";
import { ByteReader, getU48, getU64, viewOf, type ByteWriter } from "./byte-io.js";

/** Bytes before a record's body. */
export const RECORD_HEADER_BYTES = 16;

/** Bytes of an entry's record besides its data. */
export const ENTRY_OVERHEAD_BYTES = RECORD_HEADER_BYTES + 16;

/** The kinds of records on disk; docs/design/0001-formats.md lists their bodies. */
export const KIND = {
  entry: 1,
  rewrittenEntry: 2,
  hardState: 3,
  truncate: 4,
  created: 5,
  install: 6,
  installed: 7,
  destroyed: 8,
  condemned: 9,
  cleanClose: 10,
} as const;

const ENTRY_TYPES: readonly EntryType[] = ["normal", "confChange", "confChangeV2"];

/** Any record but entries: those are written one by one with {@link encodeEntry}. */
export type StateRecord = Exclude<LogRecord, { kind: "entries" }>;

/** Writes one entry's record. `rewritten`: moved from an old segment, takes nothing behind it away. */
export function encodeEntry(out: ByteWriter, salt: number, groupId: number, entry: Entry, rewritten: boolean): void {
  const start = out.skip(ENTRY_OVERHEAD_BYTES);
  out.setU64(start + 16, entry.index);
  out.setU48(start + 24, entry.term);
  out.setU16(start + 30, ENTRY_TYPES.indexOf(entry.type));
  out.bytes(entry.data);
  finishRecord(out, start, salt, groupId, rewritten ? KIND.rewrittenEntry : KIND.entry);
}

/** Writes a record that is no entry. `condemnedPeer`: the peer a `condemned` record is about, 0 if unknown. */
export function encodeState(out: ByteWriter, salt: number, record: StateRecord, condemnedPeer: number): void {
  const start = out.skip(RECORD_HEADER_BYTES);
  switch (record.kind) {
    case "hardState":
      encodeHardState(out, record.hardState);
      break;
    case "truncate":
      out.u64(record.index);
      out.u64(record.term);
      break;
    case "created":
      out.u64(record.peerId);
      out.u64(record.index);
      out.u64(record.term);
      break;
    case "install":
      encodeInstall(out, record);
      break;
    case "installed":
      break;
    case "destroyed":
      out.u64(record.peerId);
      out.u64(record.confVer);
      out.u64(record.version);
      break;
    case "condemned":
      out.u64(condemnedPeer);
      out.text(record.reason);
      break;
  }
  finishRecord(out, start, salt, record.groupId, KIND[record.kind]);
}

/** Writes the record that says that the process closed its log in order. */
export function encodeCleanClose(out: ByteWriter, salt: number): void {
  finishRecord(out, out.skip(RECORD_HEADER_BYTES), salt, 0, KIND.cleanClose);
}

function finishRecord(out: ByteWriter, start: number, salt: number, groupId: number, kind: number): void {
  out.setU32(start + 4, out.length - start - RECORD_HEADER_BYTES);
  out.setU48(start + 8, groupId);
  out.setU16(start + 14, kind);
  out.setU32(start, out.crc(start + 4, salt));
}

/** Length of the record at `offset`, header and body, as its header says: unchecked. */
export function recordBytesAt(view: DataView, offset: number): number {
  return RECORD_HEADER_BYTES + view.getUint32(offset + 4, true);
}

/** Group of the record at `offset`. */
export function recordGroupAt(view: DataView, offset: number): number {
  return getU48(view, offset + 8);
}

/** Kind of the record at `offset`, one of {@link KIND} in this version. */
export function recordKindAt(view: DataView, offset: number): number {
  return view.getUint16(offset + 14, true);
}

/** Whether the records at two offsets are of one group and one kind. */
export function isSameGroupAndKind(view: DataView, a: number, b: number): boolean {
  return (
    view.getUint32(a + 8, true) === view.getUint32(b + 8, true) && view.getUint32(a + 12) === view.getUint32(b + 12)
  );
}

/** Whether the record of `length` bytes at `offset` is what was written. */
export function isRecordIntact(bytes: Buffer, view: DataView, offset: number, length: number, salt: number): boolean {
  return crc32(bytes.subarray(offset + 4, offset + length), salt) === view.getUint32(offset, true);
}

/** Index of the entry whose record begins at `offset`. */
export function entryIndexAt(view: DataView, offset: number): number {
  return getU64(view, offset + 16);
}

/** Term of the entry whose record begins at `offset`. */
export function entryTermAt(view: DataView, offset: number): number {
  return getU48(view, offset + 24);
}

/** Type of the entry whose record begins at `offset`. */
export function entryTypeAt(view: DataView, offset: number): EntryType {
  return ENTRY_TYPES[view.getUint16(offset + 30, true)] ?? "normal";
}

/** Reads an entry from its whole record; the data is a view of `record`. Undefined if it is not the intact record of that entry. */
export function decodeEntry(record: Buffer, salt: number, groupId: number, index: number): Entry | undefined {
  if (record.length < ENTRY_OVERHEAD_BYTES) return undefined;
  const view = viewOf(record);
  if (!isRecordIntact(record, view, 0, record.length, salt)) return undefined;
  const kind = recordKindAt(view, 0);
  const isEntry = kind === KIND.entry || kind === KIND.rewrittenEntry;
  const type = ENTRY_TYPES[view.getUint16(30, true)];
  if (!isEntry || type === undefined || recordGroupAt(view, 0) !== groupId || entryIndexAt(view, 0) !== index)
    return undefined;
  return { term: entryTermAt(view, 0), index, type, data: record.subarray(ENTRY_OVERHEAD_BYTES) };
}

/** What a record other than an entry says, with the peer of a `condemned` one. */
export interface DecodedState {
  readonly record: StateRecord;
  readonly condemnedPeer: number;
}

/**
 * Reads a record that is neither entry nor clean close.
 * @throws RheaError VERSION_UNSUPPORTED for a kind that is unknown here.
 */
export function decodeState(bytes: Buffer, offset: number): DecodedState {
  const view = viewOf(bytes);
  const body = new ByteReader(bytes, offset + RECORD_HEADER_BYTES, offset + recordBytesAt(view, offset));
  const groupId = recordGroupAt(view, offset);
  const kind = recordKindAt(view, offset);
  const known = (record: StateRecord): DecodedState => ({ record, condemnedPeer: 0 });
  switch (kind) {
    case KIND.hardState:
      return known({ kind: "hardState", groupId, hardState: decodeHardState(body) });
    case KIND.truncate:
      return known({ kind: "truncate", groupId, index: body.u64(), term: body.u64() });
    case KIND.created:
      return known({ kind: "created", groupId, peerId: body.u64(), index: body.u64(), term: body.u64() });
    case KIND.install:
      return known({ kind: "install", groupId, ...decodeInstall(body) });
    case KIND.installed:
      return known({ kind: "installed", groupId });
    case KIND.destroyed:
      return known({ kind: "destroyed", groupId, peerId: body.u64(), confVer: body.u64(), version: body.u64() });
    case KIND.condemned: {
      const condemnedPeer = body.u64();
      return { record: { kind: "condemned", groupId, reason: body.text() }, condemnedPeer };
    }
    default:
      throw new RheaError(
        "VERSION_UNSUPPORTED",
        `log record kind ${kind} of group ${groupId} is unknown: start the version that wrote it`,
      );
  }
}

/** Writes term, vote and commit. */
export function encodeHardState(out: ByteWriter, hardState: HardState): void {
  out.u64(hardState.term);
  out.u64(hardState.vote);
  out.u64(hardState.commit);
}

/** Reads term, vote and commit. */
export function decodeHardState(body: ByteReader): HardState {
  return { term: body.u64(), vote: body.u64(), commit: body.u64() };
}

/** Writes a pending snapshot install. */
export function encodeInstall(out: ByteWriter, install: PendingInstall): void {
  out.text(install.file);
  out.u64(install.index);
  out.u64(install.term);
  const { confState } = install;
  for (const peers of [confState.voters, confState.learners, confState.votersOutgoing, confState.learnersNext]) {
    out.u32(peers.length);
    for (const peer of peers) out.u64(peer);
  }
  out.u8(confState.autoLeave ? 1 : 0);
}

/** Reads a pending snapshot install. */
export function decodeInstall(body: ByteReader): PendingInstall {
  const file = body.text();
  const index = body.u64();
  const term = body.u64();
  const peers = (): number[] => Array.from({ length: body.u32() }, () => body.u64());
  const confState: ConfState = {
    voters: peers(),
    learners: peers(),
    votersOutgoing: peers(),
    learnersNext: peers(),
    autoLeave: body.u8() === 1,
  };
  return { file, index, term, confState };
}
