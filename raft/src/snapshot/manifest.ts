/** The frame of the small files that describe snapshots: CRC of the rest (4 bytes, big-endian), then JSON. */
import { crc32, RheaError } from "@rhea/common";

const HEAD_BYTES = 4;

/** Encodes a description. */
export function encodeManifest(content: object): Buffer {
  const body = Buffer.from(JSON.stringify(content));
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(crc32(body));
  return Buffer.concat([head, body]);
}

/**
 * Decodes a description of the form `version`. `path` is for messages.
 * @throws RheaError CORRUPTION when it is damaged, VERSION_UNSUPPORTED when it is of another form.
 */
export function decodeManifest(path: string, bytes: Buffer, version: number): unknown {
  const body = bytes.subarray(HEAD_BYTES);
  if (bytes.length < HEAD_BYTES || bytes.readUInt32BE(0) !== crc32(body)) {
    const message = `${path}: checksum mismatch in ${bytes.length} bytes`;
    throw new RheaError("CORRUPTION", message, { details: { file: path } });
  }
  const content = JSON.parse(body.toString()) as { readonly version: number };
  if (content.version === version) return content;
  const known = `manifest version ${content.version} is unknown, known: ${version}`;
  throw new RheaError("VERSION_UNSUPPORTED", `${path}: ${known}`);
}
