import { asBuffer, EMPTY_BYTES } from "@rhea/common";
import { crcOfRange } from "./short-crc.js";

const TWO_32 = 0x1_0000_0000;

/** Appends little-endian values to one growing buffer. Reused from frame to frame, so writing makes no garbage. */
export class ByteWriter {
  /** Bytes written so far; may be set back to forget the newest. */
  length = 0;
  #buffer: Buffer;
  #view: DataView;

  constructor(capacity: number) {
    this.#buffer = Buffer.allocUnsafeSlow(capacity);
    this.#view = viewOf(this.#buffer);
  }

  /** Bytes allocated. */
  get capacity(): number {
    return this.#buffer.length;
  }

  /** Views what was written; valid until the next write. */
  slice(start = 0, end = this.length): Buffer {
    return this.#buffer.subarray(start, end);
  }

  /** CRC-32 of what was written from `start` on, continuing from `seed`. */
  crc(start: number, seed: number): number {
    return crcOfRange(this.#buffer, this.#view, start, this.length, seed);
  }

  /** Makes room for `bytes` more. */
  reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.length);
    this.#buffer = grown;
    this.#view = viewOf(grown);
  }

  /** Leaves `bytes` to be set later and returns where they begin. */
  skip(bytes: number): number {
    this.reserve(bytes);
    const start = this.length;
    this.length += bytes;
    return start;
  }

  u8(value: number): void {
    const at = this.skip(1);
    this.#view.setUint8(at, value);
  }

  u16(value: number): void {
    const at = this.skip(2);
    this.#view.setUint16(at, value, true);
  }

  u32(value: number): void {
    const at = this.skip(4);
    this.#view.setUint32(at, value, true);
  }

  u48(value: number): void {
    this.setU48(this.skip(6), value);
  }

  u64(value: number): void {
    this.setU64(this.skip(8), value);
  }

  bytes(value: Uint8Array): void {
    const start = this.skip(value.length);
    this.#buffer.set(value, start);
  }

  /** Writes UTF-8 behind its length. */
  text(value: string): void {
    const encoded = Buffer.from(value, "utf8");
    this.u32(encoded.length);
    this.bytes(encoded);
  }

  setU16(offset: number, value: number): void {
    this.#view.setUint16(offset, value, true);
  }

  setU32(offset: number, value: number): void {
    this.#view.setUint32(offset, value, true);
  }

  setU48(offset: number, value: number): void {
    const high = Math.floor(value / TWO_32);
    this.#view.setUint32(offset, value - high * TWO_32, true);
    this.#view.setUint16(offset + 4, high, true);
  }

  setU64(offset: number, value: number): void {
    const high = Math.floor(value / TWO_32);
    this.#view.setUint32(offset, value - high * TWO_32, true);
    this.#view.setUint32(offset + 4, high, true);
  }
}

/** Reads what {@link ByteWriter} wrote. Every method throws RangeError beyond `end`. */
export class ByteReader {
  readonly #buffer: Buffer;
  readonly #view: DataView;
  readonly #end: number;
  #offset: number;

  constructor(buffer: Uint8Array, offset = 0, end = buffer.length) {
    this.#buffer = asBuffer(buffer);
    this.#view = viewOf(buffer);
    this.#offset = offset;
    this.#end = end;
  }

  get remaining(): number {
    return this.#end - this.#offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u48(): number {
    return getU48(this.#view, this.#take(6));
  }

  u64(): number {
    return getU64(this.#view, this.#take(8));
  }

  /** Views `length` bytes without copying. */
  bytes(length: number): Buffer {
    if (length === 0) return EMPTY_BYTES;
    const start = this.#take(length);
    return this.#buffer.subarray(start, start + length);
  }

  text(): string {
    return this.bytes(this.u32()).toString("utf8");
  }

  #take(bytes: number): number {
    const start = this.#offset;
    if (start + bytes > this.#end)
      throw new RangeError(`${bytes} bytes wanted at ${start}, the end is at ${this.#end}`);
    this.#offset = start + bytes;
    return start;
  }
}

/** Views bytes for number access. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Reads a 48-bit number. Small ones never become floating-point: as keys of maps those are dear. */
export function getU48(view: DataView, offset: number): number {
  const high = view.getUint16(offset + 4, true);
  const low = view.getUint32(offset, true);
  return high === 0 ? low : low + high * TWO_32;
}

/** Reads a 64-bit number; exact below 2^53. */
export function getU64(view: DataView, offset: number): number {
  const high = view.getUint32(offset + 4, true);
  const low = view.getUint32(offset, true);
  return high === 0 ? low : low + high * TWO_32;
}
