/** RheaError <-> the `Error` message that answers carry (proto/rhea/meta.proto), known here by its shape alone. */
import { isErrorCode, RheaError, type ErrorDetails, type RegionDetail } from "./errors.js";

/** The decoded `Error` message. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  /** 0: none. */
  readonly regionId: number;
  readonly currentRegions: readonly (Omit<RegionDetail, "epoch"> & { readonly epoch: RegionDetail["epoch"] | null })[];
  readonly leader: { readonly peerId: number; readonly storeId: number } | null;
  readonly leaderAddress: string;
  readonly retryAfterMs: number;
  readonly maybeApplied: boolean;
}

/** Makes the message from code, message and the details that have a field; the cause stays here. */
export function errorToWire(error: RheaError): WireError {
  const { currentRegions, leader, maybeApplied, regionId, retryAfterMs } = error.details;
  return {
    code: error.code,
    message: error.message,
    regionId: regionId ?? 0,
    currentRegions: currentRegions ?? [],
    leader: leader === undefined ? null : { peerId: leader.peerId, storeId: leader.storeId },
    leaderAddress: leader?.address ?? "",
    retryAfterMs: retryAfterMs ?? 0,
    maybeApplied: maybeApplied ?? false,
  };
}

/** Reads the message; a code that this version does not know becomes INTERNAL with the code in the message. */
export function errorFromWire(error: WireError): RheaError {
  const { leader, leaderAddress } = error;
  const details: ErrorDetails = {
    ...(error.regionId === 0 ? {} : { regionId: error.regionId }),
    ...(error.currentRegions.length === 0 ? {} : { currentRegions: error.currentRegions.map(withEpoch) }),
    ...(leader === null
      ? {}
      : {
          leader: {
            peerId: leader.peerId,
            storeId: leader.storeId,
            ...(leaderAddress === "" ? {} : { address: leaderAddress }),
          },
        }),
    ...(error.retryAfterMs === 0 ? {} : { retryAfterMs: error.retryAfterMs }),
    ...(error.maybeApplied ? { maybeApplied: true } : {}),
  };
  if (!isErrorCode(error.code)) return new RheaError("INTERNAL", `${error.code}: ${error.message}`, { details });
  return new RheaError(error.code, error.message, { details });
}

function withEpoch(region: WireError["currentRegions"][number]): RegionDetail {
  const { regionId, startKey, endKey, epoch, peers } = region;
  return { regionId, startKey, endKey, epoch: epoch ?? { confVer: 0, version: 0 }, peers };
}
