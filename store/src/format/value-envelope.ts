/**
 * What stands around every user value and sequence in the engine (docs/design/0001-formats.md):
 * `version u8 | crc u32 | flags u8 | revision u64 | [expiry u64] | value`, little-endian. The CRC covers the key and all after itself.
 */
import { RheaError, crc32, fromLatin1 } from "@rhea/common";

const VERSION = 1;
const CRC_AT = 1;
const FLAGS_AT = 5;
const REVISION_AT = 6;
const HEADER_BYTES = 14;
const FLAG_EXPIRY = 1;
const KNOWN_FLAGS = FLAG_EXPIRY;
const TWO_32 = 0x1_0000_0000;

/** Wraps a value that was written by the region's `revision`-th write under the engine key `key`. */
export function encodeEnvelope(key: string, value: Uint8Array, revision: number): Buffer {
  const envelope = Buffer.allocUnsafe(HEADER_BYTES + value.length);
  envelope[0] = VERSION;
  envelope[FLAGS_AT] = 0;
  envelope.writeUInt32LE(revision % TWO_32, REVISION_AT);
  envelope.writeUInt32LE(Math.floor(revision / TWO_32), REVISION_AT + 4);
  envelope.set(value, HEADER_BYTES);
  envelope.writeUInt32LE(crc32(envelope.subarray(FLAGS_AT), crc32(fromLatin1(key))), CRC_AT);
  return envelope;
}

/** Unwraps; the value shares memory with the envelope. Throws CORRUPTION on a bad checksum, VERSION_UNSUPPORTED on an unknown form. */
export function decodeEnvelope(key: string, envelope: Buffer): Buffer {
  if (envelope.length < HEADER_BYTES) throw damaged(key, envelope, `only ${envelope.length} bytes long`);
  if (envelope[0] !== VERSION) {
    throw new RheaError(
      "VERSION_UNSUPPORTED",
      `value of key ${hex(key)}: format version ${envelope[0] ?? 0} is unknown here`,
    );
  }
  const stored = envelope.readUInt32LE(CRC_AT);
  const computed = crc32(envelope.subarray(FLAGS_AT), crc32(fromLatin1(key)));
  if (stored !== computed) throw damaged(key, envelope, `checksum ${computed}, stored ${stored}`);
  const flags = envelope[FLAGS_AT] ?? 0;
  if ((flags & ~KNOWN_FLAGS) !== 0) {
    throw new RheaError("VERSION_UNSUPPORTED", `value of key ${hex(key)}: flags ${flags} are unknown here`);
  }
  return envelope.subarray((flags & FLAG_EXPIRY) === 0 ? HEADER_BYTES : HEADER_BYTES + 8);
}

const hex = (key: string): string => fromLatin1(key.slice(0, 64)).toString("hex");

function damaged(key: string, envelope: Buffer, what: string): RheaError {
  return new RheaError(
    "CORRUPTION",
    `value of key ${hex(key)} (${envelope.length} bytes): ${what}; this peer must be replaced`,
  );
}
