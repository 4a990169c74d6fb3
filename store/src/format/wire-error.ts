/** RheaError <-> the `Error` message that answers carry. */
import { RheaError, isErrorCode, type ErrorDetails } from "@rhea/common";
import type { Error as ErrorProto, ErrorInit } from "@rhea/proto";
import { descriptorFromProto, descriptorToDetail } from "./descriptor.js";

/** Encodes code, message and the details that have a field; the cause stays here. */
export function errorToProto(error: RheaError): ErrorInit {
  const { currentRegions, leader, maybeApplied, regionId, retryAfterMs } = error.details;
  return {
    code: error.code,
    message: error.message,
    regionId: regionId ?? 0,
    currentRegions: (currentRegions ?? []).map((region) => ({
      ...region,
      peers: region.peers.map((peer) => ({ ...peer, role: peer.role as 0 | 1 | 2 | 3 })),
    })),
    leader: leader === undefined ? null : { peerId: leader.peerId, storeId: leader.storeId, role: 0 },
    leaderAddress: leader?.address ?? "",
    retryAfterMs: retryAfterMs ?? 0,
    maybeApplied: maybeApplied ?? false,
  };
}

/** Decodes; a code that this version does not know becomes INTERNAL with the code in the message. */
export function errorFromProto(error: ErrorProto): RheaError {
  const details: ErrorDetails = {
    ...(error.regionId === 0 ? {} : { regionId: error.regionId }),
    ...(error.currentRegions.length === 0
      ? {}
      : { currentRegions: error.currentRegions.map((region) => descriptorToDetail(descriptorFromProto(region))) }),
    ...(error.leader === null
      ? {}
      : {
          leader: {
            peerId: error.leader.peerId,
            storeId: error.leader.storeId,
            ...(error.leaderAddress === "" ? {} : { address: error.leaderAddress }),
          },
        }),
    ...(error.retryAfterMs === 0 ? {} : { retryAfterMs: error.retryAfterMs }),
    ...(error.maybeApplied ? { maybeApplied: true } : {}),
  };
  if (!isErrorCode(error.code)) return new RheaError("INTERNAL", `${error.code}: ${error.message}`, { details });
  return new RheaError(error.code, error.message, { details });
}
