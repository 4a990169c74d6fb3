/** What the API server's refusals mean. */
import { RheaError, type ErrorCode } from "@rhea/common";

/** The parts of a `Status` object that are read. */
interface StatusBody {
  readonly kind?: unknown;
  readonly code?: unknown;
  readonly reason?: unknown;
  readonly message?: unknown;
  readonly details?: { readonly retryAfterSeconds?: unknown } | null;
}

/** Builds the error of an answer that is not 2xx. `body` is its text, a Status object or anything else; `what` names the request. */
export function errorOfAnswer(
  what: string,
  httpStatus: number,
  body: string,
  retryAfter: string | undefined,
): RheaError {
  const status = parseStatus(body);
  const message = typeof status.message === "string" ? status.message : `HTTP ${httpStatus}: ${excerpt(body)}`;
  const reason = typeof status.reason === "string" ? status.reason : "";
  return statusError(what, httpStatus, reason, message, retryAfterMs(retryAfter, status));
}

/** Builds the error of an ERROR event of a watch, whose object is a Status. */
export function errorOfEvent(what: string, object: unknown): RheaError {
  const status = (typeof object === "object" && object !== null ? object : {}) as StatusBody;
  const httpStatus = typeof status.code === "number" ? status.code : 500;
  const message = typeof status.message === "string" ? status.message : excerpt(JSON.stringify(object));
  const reason = typeof status.reason === "string" ? status.reason : "";
  return statusError(what, httpStatus, reason, message, retryAfterMs(undefined, status));
}

function statusError(
  what: string,
  httpStatus: number,
  reason: string,
  message: string,
  waitMs: number | undefined,
): RheaError {
  return new RheaError(codeOf(httpStatus, reason), `${what}: ${message}`, {
    details: { kube: { httpStatus, reason, message }, ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }) },
  });
}

function codeOf(httpStatus: number, reason: string): ErrorCode {
  switch (httpStatus) {
    case 401:
    case 403:
      return "KUBE_FORBIDDEN";
    case 404:
      return "KUBE_NOT_FOUND";
    case 409:
      return reason === "AlreadyExists" ? "ALREADY_EXISTS" : "KUBE_CONFLICT";
    case 410:
      return "KUBE_API";
    case 429:
      return "SERVER_BUSY";
    default:
      return httpStatus >= 400 && httpStatus < 500 ? "KUBE_INVALID" : "KUBE_API";
  }
}

function retryAfterMs(header: string | undefined, status: StatusBody): number | undefined {
  // The API server sends whole seconds, never a date.
  const seconds = header === undefined ? status.details?.retryAfterSeconds : Number(header);
  return typeof seconds === "number" && Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}

function parseStatus(body: string): StatusBody {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {}; // proxies answer with HTML or text; the caller quotes it
  }
}

/** Cuts a text for an error message. */
export function excerpt(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= 120 ? line : `${line.slice(0, 120)}… (${text.length} characters)`;
}

/** Whether the version asked for is no longer kept: HTTP 410, or an ERROR event that says so. */
export function isGone(error: unknown): boolean {
  const kube = error instanceof RheaError ? error.details.kube : undefined;
  return kube !== undefined && (kube.httpStatus === 410 || kube.reason === "Expired" || kube.reason === "Gone");
}

/** Whether the object does not exist. */
export function isKubeNotFound(error: unknown): boolean {
  return error instanceof RheaError && error.code === "KUBE_NOT_FOUND";
}

/** Whether the object changed since it was read, or another manager owns the field. */
export function isKubeConflict(error: unknown): boolean {
  return error instanceof RheaError && error.code === "KUBE_CONFLICT";
}
