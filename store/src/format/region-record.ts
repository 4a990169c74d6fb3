/** A region's two records: what it is (changes rarely, JSON) and how far it has applied (changes with every batch, binary). */
import { RheaError, crc32 } from "@rhea/common";
import { Region } from "@rhea/proto";
import type { ConfState } from "@rhea/raft";
import { descriptorFromProto, descriptorToProto, type RegionDescriptor } from "./descriptor.js";

const VERSION = 1;

/** What a region is on this store. */
export interface RegionRecord {
  readonly descriptor: RegionDescriptor;
  /** This store's peer. */
  readonly peerId: number;
  /** As of the apply state's index. */
  readonly confState: ConfState;
  /** False until the group's record in the log is known durable: a crash before that starts the log anew. */
  readonly logStarted: boolean;
  /** True for a peer made by a message: it has no state, the range is only claimed. */
  readonly awaitingSnapshot: boolean;
}

/** How far a region has applied, and its counters at that point. */
export interface ApplyState {
  readonly index: number;
  readonly term: number;
  /** Writes so far, over all keys. */
  readonly revision: number;
  /** Region time, ms. */
  readonly stamp: number;
  readonly approximateSize: number;
  readonly approximateKeys: number;
}

/** Encodes a region's record. */
export function encodeRegionRecord(record: RegionRecord): Buffer {
  const region = Buffer.from(Region.encode(descriptorToProto(record.descriptor)).finish());
  const { peerId, confState, logStarted, awaitingSnapshot } = record;
  const json = JSON.stringify({ region: region.toString("base64"), peerId, confState, logStarted, awaitingSnapshot });
  return sealed(Buffer.from(json));
}

/** Decodes a region's record. Throws CORRUPTION, VERSION_UNSUPPORTED. */
export function decodeRegionRecord(bytes: Buffer): RegionRecord {
  const { region, ...rest } = JSON.parse(unsealed(bytes, "region record").toString()) as Omit<
    RegionRecord,
    "descriptor"
  > & {
    region: string;
  };
  return { ...rest, descriptor: descriptorFromProto(Region.decode(Buffer.from(region, "base64"))) };
}

/** Encodes an apply state. */
export function encodeApplyState(state: ApplyState): Buffer {
  const bytes = Buffer.allocUnsafe(48);
  bytes.writeDoubleLE(state.index, 0);
  bytes.writeDoubleLE(state.term, 8);
  bytes.writeDoubleLE(state.revision, 16);
  bytes.writeDoubleLE(state.stamp, 24);
  bytes.writeDoubleLE(state.approximateSize, 32);
  bytes.writeDoubleLE(state.approximateKeys, 40);
  return sealed(bytes);
}

/** Decodes an apply state. Throws CORRUPTION, VERSION_UNSUPPORTED. */
export function decodeApplyState(sealedBytes: Buffer): ApplyState {
  const bytes = unsealed(sealedBytes, "apply state");
  return {
    index: bytes.readDoubleLE(0),
    term: bytes.readDoubleLE(8),
    revision: bytes.readDoubleLE(16),
    stamp: bytes.readDoubleLE(24),
    approximateSize: bytes.readDoubleLE(32),
    approximateKeys: bytes.readDoubleLE(40),
  };
}

/** Puts `version u8 | crc u32` before the bytes of a local record. */
export function sealed(bytes: Buffer): Buffer {
  const record = Buffer.allocUnsafe(5 + bytes.length);
  record[0] = VERSION;
  record.writeUInt32LE(crc32(bytes), 1);
  record.set(bytes, 5);
  return record;
}

/** Checks and strips what {@link sealed} put. `what` names the record for the error. */
export function unsealed(record: Buffer, what: string): Buffer {
  if (record[0] !== VERSION)
    throw new RheaError("VERSION_UNSUPPORTED", `${what}: format version ${record[0] ?? 0} is unknown here`);
  const bytes = record.subarray(5);
  if (crc32(bytes) !== record.readUInt32LE(1)) throw new RheaError("CORRUPTION", `${what}: checksum does not match`);
  return bytes;
}
