/** RheaError as JSON, for places that carry text: gRPC trailers, CLI output, status pages. */
import { isErrorCode, RheaError, type ErrorDetails, type RegionDetail } from "./errors.js";

interface RegionJson extends Omit<RegionDetail, "startKey" | "endKey"> {
  readonly startKey: string;
  readonly endKey: string;
}

/** Encodes code, message and details; keys as base64. Stack and cause stay here. */
export function errorToJson(error: RheaError): string {
  const { currentRegions, ...details } = error.details;
  const regions = currentRegions?.map((region) => ({
    ...region,
    startKey: Buffer.from(region.startKey).toString("base64"),
    endKey: Buffer.from(region.endKey).toString("base64"),
  }));
  return JSON.stringify({ code: error.code, message: error.message, details: { ...details, currentRegions: regions } });
}

/** Decodes what {@link errorToJson} wrote; an unknown code becomes INTERNAL with the code in the message. */
export function errorFromJson(text: string): RheaError {
  const { code, message, details } = JSON.parse(text) as {
    code: string;
    message: string;
    details: Omit<ErrorDetails, "currentRegions"> & { currentRegions?: readonly RegionJson[] };
  };
  const { currentRegions, ...rest } = details;
  const regions = currentRegions?.map((region) => ({
    ...region,
    startKey: Buffer.from(region.startKey, "base64"),
    endKey: Buffer.from(region.endKey, "base64"),
  }));
  const decoded: ErrorDetails = regions === undefined ? rest : { ...rest, currentRegions: regions };
  if (!isErrorCode(code)) return new RheaError("INTERNAL", `${code}: ${message}`, { details: decoded });
  return new RheaError(code, message, { details: decoded });
}
