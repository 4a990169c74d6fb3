/** Errors as stores and PD send them, turned into RheaError. */
import { isErrorCode, RheaError, type ErrorDetails, type RegionDetail } from "@rhea/common";
import type { Error as WireError, Region } from "@rhea/proto";

function regionDetail(region: Region): RegionDetail {
  return {
    regionId: region.regionId,
    startKey: region.startKey,
    endKey: region.endKey,
    epoch: { confVer: region.epoch?.confVer ?? 0, version: region.epoch?.version ?? 0 },
    peers: region.peers,
  };
}

/** Turns a wire error into a RheaError; an unknown code becomes INTERNAL with the code in the message. */
export function fromWireError(error: WireError): RheaError {
  const details: ErrorDetails = {
    ...(error.regionId === 0 ? {} : { regionId: error.regionId }),
    ...(error.currentRegions.length === 0 ? {} : { currentRegions: error.currentRegions.map(regionDetail) }),
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
