/** The payload of a raft entry: a format version byte, then an EntryPayload. */
import { RheaError } from "@rhea/common";
import { EntryPayload, type EntryPayloadInit } from "@rhea/proto";

const VERSION = 1;

/** Encodes what one region accepted in one turn. */
export function encodeEntry(payload: EntryPayloadInit): Buffer {
  const bytes = EntryPayload.encode(payload).finish();
  const entry = Buffer.allocUnsafe(1 + bytes.length);
  entry[0] = VERSION;
  entry.set(bytes, 1);
  return entry;
}

/** Decodes; throws VERSION_UNSUPPORTED, which takes the peer to `error`, on a version that this build does not know. */
export function decodeEntry(entry: Uint8Array, index: number): EntryPayload {
  if (entry[0] !== VERSION) {
    throw new RheaError(
      "VERSION_UNSUPPORTED",
      `entry ${index}: format version ${entry[0] ?? 0} is unknown here; upgrade this store`,
    );
  }
  return EntryPayload.decode(entry.subarray(1));
}
