/** One client's session as it is stored: `floor f64 | newest issuedAt f64 | (seq f64 | length u32 | result)*`, sealed. */
import { sealed, unsealed } from "./region-record.js";

/** What a region remembers of one client. */
export interface SessionRecord {
  /** Every seq below was answered or given up by the client. */
  readonly floor: number;
  readonly newestIssuedAt: number;
  /** Results by seq, all at or above `floor`; undefined where it was dropped to bound memory. */
  readonly results: ReadonlyMap<number, Uint8Array | undefined>;
}

const DROPPED = 0xffff_ffff;

/** Encodes a session. */
export function encodeSession(session: SessionRecord): Buffer {
  let length = 16;
  for (const result of session.results.values()) length += 12 + (result?.length ?? 0);
  const bytes = Buffer.allocUnsafe(length);
  bytes.writeDoubleLE(session.floor, 0);
  bytes.writeDoubleLE(session.newestIssuedAt, 8);
  let at = 16;
  for (const [seq, result] of session.results) {
    at = bytes.writeDoubleLE(seq, at);
    at = bytes.writeUInt32LE(result?.length ?? DROPPED, at);
    if (result === undefined) continue;
    bytes.set(result, at);
    at += result.length;
  }
  return sealed(bytes);
}

/** Decodes a session. Throws CORRUPTION, VERSION_UNSUPPORTED. */
export function decodeSession(record: Buffer): SessionRecord {
  const bytes = unsealed(record, "session record");
  const results = new Map<number, Uint8Array | undefined>();
  for (let at = 16; at < bytes.length;) {
    const seq = bytes.readDoubleLE(at);
    const length = bytes.readUInt32LE(at + 8);
    at += 12;
    if (length === DROPPED) {
      results.set(seq, undefined);
      continue;
    }
    results.set(seq, Buffer.from(bytes.subarray(at, at + length)));
    at += length;
  }
  return { floor: bytes.readDoubleLE(0), newestIssuedAt: bytes.readDoubleLE(8), results };
}
