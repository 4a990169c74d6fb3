/**
 * A region's snapshot: `manifest` (sealed JSON) and `data` (frames of the journal's form: engine keys with their values, then sessions
 * under `S` + client id). See docs/design/0001-formats.md.
 */
import { RheaError } from "@rhea/common";
import { Region } from "@rhea/proto";
import type { ConfState } from "@rhea/raft";
import { descriptorFromProto, descriptorToProto, type RegionDescriptor } from "../format/descriptor.js";
import { sealed, unsealed, type ApplyState } from "../format/region-record.js";

/** Names of the files, as they travel. */
export const SNAPSHOT_FILES = { manifest: "manifest", data: "data" } as const;
/** Stands before the client id in a session's key. */
export const SESSION_PREFIX = "S";

/** Everything of a snapshot but its rows. */
export interface SnapshotManifest {
  readonly descriptor: RegionDescriptor;
  readonly confState: ConfState;
  readonly applied: ApplyState;
  /** Frames in `data`, its bytes, and the CRC over all of them. */
  readonly frames: number;
  readonly bytes: number;
  readonly hash: number;
}

/** Encodes a manifest. */
export function encodeManifest(manifest: SnapshotManifest): Buffer {
  const region = Buffer.from(Region.encode(descriptorToProto(manifest.descriptor)).finish()).toString("base64");
  return sealed(Buffer.from(JSON.stringify({ ...manifest, descriptor: region })));
}

/** Decodes a manifest. Throws CORRUPTION, VERSION_UNSUPPORTED. */
export function decodeManifest(bytes: Buffer): SnapshotManifest {
  const json = JSON.parse(unsealed(bytes, "snapshot manifest").toString()) as Omit<SnapshotManifest, "descriptor"> & {
    descriptor: string;
  };
  return { ...json, descriptor: descriptorFromProto(Region.decode(Buffer.from(json.descriptor, "base64"))) };
}

/** The error of a snapshot whose files do not hold what its manifest says. */
export function snapshotDamaged(regionId: number, file: string, what: string): RheaError {
  return new RheaError(
    "CORRUPTION",
    `region ${regionId}: snapshot file ${file}: ${what}; the leader will send another one`,
    {
      details: { regionId, file },
    },
  );
}
