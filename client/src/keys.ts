/** Keys and values as callers give them, turned into bytes and checked before anything is sent. */
import { EMPTY_BYTES, RheaError } from "@rhea/common";

/** A key: a string is taken as its UTF-8 bytes. 1 to 4,096 bytes. */
export type Key = string | Uint8Array;
/** A value: a string is taken as its UTF-8 bytes. Up to 6 MiB, may be empty. */
export type Value = string | Uint8Array;

const MAX_KEY_BYTES = 4096;
const MAX_VALUE_BYTES = 6 * 1024 * 1024;

function describe(bytes: Uint8Array): string {
  return JSON.stringify(Buffer.from(bytes.subarray(0, 40)).toString()) + (bytes.length > 40 ? "..." : "");
}

function toBytes(input: Key | Value, what: string): Buffer {
  if (typeof input === "string") return Buffer.from(input);
  if (Buffer.isBuffer(input)) return input;
  // Callers without types reach this with anything at all.
  if ((input as unknown) instanceof Uint8Array) return Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  throw new RheaError("INVALID_ARGUMENT", `${what}: ${typeof input} given, a string or Uint8Array is needed`);
}

/** Encodes a key. Throws KEY_TOO_LARGE where it is empty or too long. */
export function encodeKey(key: Key): Buffer {
  const bytes = toBytes(key, "key");
  if (bytes.length === 0) throw new RheaError("KEY_TOO_LARGE", "key: it is empty, 1 to 4,096 bytes are allowed");
  if (bytes.length > MAX_KEY_BYTES) {
    throw new RheaError(
      "KEY_TOO_LARGE",
      `key ${describe(bytes)}: ${bytes.length} bytes, ${MAX_KEY_BYTES} are allowed: shorten it or store a digest`,
    );
  }
  return bytes;
}

/** Encodes a value. Throws VALUE_TOO_LARGE. */
export function encodeValue(value: Value): Buffer {
  const bytes = toBytes(value, "value");
  if (bytes.length > MAX_VALUE_BYTES) {
    throw new RheaError(
      "VALUE_TOO_LARGE",
      `value: ${bytes.length} bytes, ${MAX_VALUE_BYTES} (6 MiB) are allowed: split it over several keys`,
    );
  }
  return bytes;
}

/** Encodes one end of a range; absent and empty both mean the end of the keyspace on that side. */
export function encodeBound(bound: Key | undefined): Buffer {
  if (bound === undefined) return EMPTY_BYTES;
  const bytes = toBytes(bound, "range");
  return bytes.length === 0 ? EMPTY_BYTES : encodeKey(bytes);
}

/** Throws unless start < end (Latin-1; an empty end is the end of the keyspace). */
export function checkRange(start: string, end: string): void {
  if (end === "" || start < end) return;
  const [from, to] = [start, end].map((bound) => describe(Buffer.from(bound, "latin1")));
  throw new RheaError(
    "INVALID_ARGUMENT",
    `range: start ${String(from)} is not below end ${String(to)} (the end is exclusive)`,
  );
}

/**
 * Returns the greatest key below `end` (Latin-1; empty: the end of the keyspace). No region can start between the two, because
 * a region starts at a key and keys have at most 4,096 bytes: the region that holds it is the last one below `end`.
 */
export function lastKeyBelow(end: string): string {
  if (end === "") return "\xff".repeat(MAX_KEY_BYTES);
  const last = end.charCodeAt(end.length - 1);
  const head = end.slice(0, -1);
  if (last === 0) return head;
  return (head + String.fromCharCode(last - 1)).padEnd(MAX_KEY_BYTES, "\xff");
}

/** Returns the least key above `key` (Latin-1), or undefined where there is none: a longest key has none that begins with it. */
export function keyAfter(key: string): string | undefined {
  if (key.length < MAX_KEY_BYTES) return `${key}\0`;
  let length = key.length;
  while (length > 0 && key.charCodeAt(length - 1) === 255) length--;
  return length === 0 ? undefined : key.slice(0, length - 1) + String.fromCharCode(key.charCodeAt(length - 1) + 1);
}

/**
 * Detaches bytes from the message they arrived in. A view would keep the whole message alive: fine where it is most of the message,
 * a leak where a caller keeps one small value of a large page.
 */
export function detach(bytes: Uint8Array): Buffer {
  if (bytes.byteLength * 2 < bytes.buffer.byteLength) return Buffer.from(bytes);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
