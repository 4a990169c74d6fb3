/**
 * Where things lie in the engine (docs/design/0001-formats.md). One byte of namespace, then the raw key: data, locks and sequences of a
 * region lie in the same user-key order and carry no region id, so a split moves nothing. Local keys use big-endian ids.
 */

/** The store's own records. */
const LOCAL = "L";
/** Users' values. */
export const DATA = "d";
/** Locks; reserved. */
const LOCKS = "k";
/** Sequences. */
export const SEQUENCES = "s";
/** The namespaces that hold a region's replicated state by user key. */
export const USER_NAMESPACES = [DATA, LOCKS, SEQUENCES] as const;

const REGION = `${LOCAL}r`;
const APPLY_STATE = `${LOCAL}a`;
const SESSION = `${LOCAL}s`;
const TURN_MARKER = `${LOCAL}m`;
const PENDING_CLEAR = `${LOCAL}c`;
/** One table per region so far; a merge will put further ones beside it. */
const FIRST_TABLE = "\x00\x00\x00\x00";

function bigEndian(id: number): string {
  const high = Math.floor(id / 0x1_0000_0000);
  const low = id >>> 0;
  return String.fromCharCode(
    (high >>> 24) & 255,
    (high >>> 16) & 255,
    (high >>> 8) & 255,
    high & 255,
    (low >>> 24) & 255,
    (low >>> 16) & 255,
    (low >>> 8) & 255,
    low & 255,
  );
}

function idAt(key: string, at: number): number {
  let id = 0;
  for (let i = at; i < at + 8; i++) id = id * 256 + key.charCodeAt(i);
  return id;
}

/** The least string above every one that begins with `prefix`, whose last char must be below 0xff. */
function prefixEnd(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

/** A user range [start, end) within a namespace; an empty `end` is the end of the namespace. */
export function namespaceRange(namespace: string, start: string, end: string): { start: string; end: string } {
  return { start: namespace + start, end: end === "" ? prefixEnd(namespace) : namespace + end };
}

/** Key of a region's record. */
export const regionKey = (regionId: number): string => REGION + bigEndian(regionId);
/** Key of a region's apply state. */
export const applyStateKey = (regionId: number): string => APPLY_STATE + bigEndian(regionId);
/** Key of one client's session in a region. `clientId`: Latin-1. */
export const sessionKey = (regionId: number, clientId: string): string =>
  SESSION + bigEndian(regionId) + FIRST_TABLE + clientId;
/** Key of the marker of engine batch `sequence`. */
export const turnMarkerKey = (sequence: number): string => TURN_MARKER + bigEndian(sequence);
/** Key of a range that must still be cleared. */
export const pendingClearKey = (sequence: number): string => PENDING_CLEAR + bigEndian(sequence);

/** All region records. */
export const REGION_RANGE = { start: REGION, end: prefixEnd(REGION) } as const;
/** All turn markers. */
export const TURN_MARKER_RANGE = { start: TURN_MARKER, end: prefixEnd(TURN_MARKER) } as const;
/** All pending clears. */
export const PENDING_CLEAR_RANGE = { start: PENDING_CLEAR, end: prefixEnd(PENDING_CLEAR) } as const;
/** All sessions of a region. */
export function sessionRange(regionId: number): { start: string; end: string } {
  return { start: SESSION + bigEndian(regionId), end: SESSION + bigEndian(regionId + 1) };
}

/** The client id (Latin-1) in a session's key. */
export const clientIdOfKey = (key: string): string => key.slice(SESSION.length + 8 + FIRST_TABLE.length);
/** The number in the key of a turn marker or a pending clear. */
export const sequenceOfKey = (key: string): number => idAt(key, 2);
