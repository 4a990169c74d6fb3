/** Byte strings: keys compare as unsigned bytes; Latin-1 strings stand for them in ordered maps (same order, faster). */
import { crc32 as zlibCrc32 } from "node:zlib";

/** No bytes. As an end key: the end of the keyspace. */
export const EMPTY_BYTES: Buffer = Buffer.alloc(0);

/** Views bytes as a Buffer without copying. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Turns bytes into a Latin-1 string: one char per byte, `<` on the strings equals unsigned byte order. */
export function toLatin1(bytes: Uint8Array): string {
  return asBuffer(bytes).toString("latin1");
}

/** Turns a Latin-1 string back into bytes. */
export function fromLatin1(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

/** Compares as unsigned bytes: negative, 0 or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

/** CRC-32 (IEEE) of `bytes`, continuing from `seed`; unsigned. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return zlibCrc32(bytes, seed);
}

/** Whether key (Latin-1) lies in [start, end); an empty end is the end of the keyspace. */
export function isInRange(key: string, start: string, end: string): boolean {
  return key >= start && (end === "" || key < end);
}

/** Throws unless `value` is a whole number in 0..2^53-1. */
export function assertSafeUint(value: number, what: string): number {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RangeError(`${what}: ${String(value)} is no whole number in 0..2^53-1`);
  return value;
}
