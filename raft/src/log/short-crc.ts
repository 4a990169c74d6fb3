/**
 * CRC-32 of short ranges, the same as zlib's: a call into zlib, with a view made for it, takes twice as long as a record of an ordinary entry
 * takes here.
 */
import { crc32 } from "@rhea/common";

/** Longest range that is faster here. Bytes. */
const SHORT_BYTES = 512;
/** Bytes taken at once ("slicing-by-16"): one table of 256 numbers each. */
const STRIDE = 16;
const POLYNOMIAL = 0xedb88320;

/** Table t at t * 256: what a byte does to the CRC when t bytes follow it. */
const TABLES: Int32Array = (() => {
  const tables = new Int32Array(STRIDE * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : POLYNOMIAL ^ (crc >>> 1);
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at++) {
    const before = tables[at - 256] as number;
    tables[at] = (tables[before & 255] as number) ^ (before >>> 8);
  }
  return tables;
})();

/** CRC-32 (IEEE) of [start, end) of `bytes`, continuing from `seed`; unsigned. `view` views the same bytes. */
export function crcOfRange(bytes: Buffer, view: DataView, start: number, end: number, seed: number): number {
  if (end - start > SHORT_BYTES) return crc32(bytes.subarray(start, end), seed);
  const t = TABLES;
  let crc = ~seed;
  let at = start;
  for (; at + STRIDE <= end; at += STRIDE) {
    const a = crc ^ view.getInt32(at, true);
    const b = view.getInt32(at + 4, true);
    const c = view.getInt32(at + 8, true);
    const d = view.getInt32(at + 12, true);
    crc =
      look(t, 15, a & 255) ^
      look(t, 14, (a >>> 8) & 255) ^
      look(t, 13, (a >>> 16) & 255) ^
      look(t, 12, a >>> 24) ^
      look(t, 11, b & 255) ^
      look(t, 10, (b >>> 8) & 255) ^
      look(t, 9, (b >>> 16) & 255) ^
      look(t, 8, b >>> 24) ^
      look(t, 7, c & 255) ^
      look(t, 6, (c >>> 8) & 255) ^
      look(t, 5, (c >>> 16) & 255) ^
      look(t, 4, c >>> 24) ^
      look(t, 3, d & 255) ^
      look(t, 2, (d >>> 8) & 255) ^
      look(t, 1, (d >>> 16) & 255) ^
      look(t, 0, d >>> 24);
  }
  for (; at < end; at++) crc = look(t, 0, (crc ^ view.getUint8(at)) & 255) ^ (crc >>> 8);
  return ~crc >>> 0;
}

function look(tables: Int32Array, table: number, byte: number): number {
  return tables[table * 256 + byte] as number;
}
