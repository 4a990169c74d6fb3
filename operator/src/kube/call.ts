/** One call of the API: attempts, credentials, time budget. */
import type { IncomingMessage } from "node:http";
import { RheaError, type Clock, type Rng, type Scheduler } from "@rhea/common";
import type { KubeEndpoint } from "./endpoint.js";
import {
  delay,
  describeRequest,
  exchange,
  openScope,
  orAborted,
  readBody,
  type CallScope,
  type HttpRequest,
} from "./http.js";
import { errorOfAnswer, excerpt } from "./kube-error.js";

/** Told after each attempt, for metrics. */
export interface RequestReport {
  /** get, list, watch, create, apply, patch, update, delete, evict or log. */
  readonly verb: string;
  /** HTTP method. */
  readonly method: string;
  /** Plural name of the kind. */
  readonly resource: string;
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** Until the head of the answer. */
  readonly seconds: number;
  /** Host and port of the API server. */
  readonly host: string;
}

/** A call to make. */
export interface Call {
  readonly verb: string;
  readonly resource: string;
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  /**
   * Which failures are tried again within the budget: `all` = 429, 5xx and broken connections (the call may be made twice without
   * harm); `unapplied` = only what surely had no effect; `none` = the caller has its own rhythm.
   */
  readonly retry: "all" | "unapplied" | "none";
  /** Milliseconds for the whole call, attempts and waits included. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** What calls run on. */
export interface CallContext {
  readonly endpoint: KubeEndpoint;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly userAgent: string;
  /** Bytes above which an answer is refused. */
  readonly maxResponseBytes: number;
  readonly onRequest: (report: RequestReport) => void;
  readonly onWarning: (warning: string) => void;
}

const FIRST_BACKOFF_MS = 200;
const MAX_BACKOFF_MS = 5_000;

/** Makes a call and returns the text of its answer. Throws as the index of this folder lists. */
export async function callText(context: CallContext, call: Call): Promise<string> {
  const scope = openScope(context.scheduler, call.timeoutMs, call.signal, `${call.method} ${call.path}`);
  try {
    return await withAttempts(context, call, scope, async (response, request) =>
      readBody(response, request, context.maxResponseBytes, scope.signal),
    );
  } finally {
    scope.close();
  }
}

/** Makes a call and returns its answer's JSON. Throws KUBE_API when it is none. */
export async function callJson(context: CallContext, call: Call): Promise<unknown> {
  const text = await callText(context, call);
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new RheaError("KUBE_API", `${call.method} ${call.path}: malformed JSON in the answer: ${excerpt(text)}`, {
      cause,
    });
  }
}

/** Opens a stream: the budget ends with the head of the answer, the caller's signal holds on. The caller closes the scope. */
export async function openStream(
  context: CallContext,
  call: Call,
): Promise<{ readonly response: IncomingMessage; readonly request: HttpRequest; readonly scope: CallScope }> {
  const scope = openScope(context.scheduler, call.timeoutMs, call.signal, `${call.method} ${call.path}`);
  try {
    const opened = await withAttempts(context, call, scope, async (response, request) => ({ response, request }));
    scope.stopTimer();
    return { ...opened, scope };
  } catch (error) {
    scope.close();
    throw error;
  }
}

async function withAttempts<R>(
  context: CallContext,
  call: Call,
  scope: CallScope,
  accept: (response: IncomingMessage, request: HttpRequest) => Promise<R>,
): Promise<R> {
  const request = requestOf(context, call);
  const givesUpAt = context.clock.monotonicMs() + call.timeoutMs;
  let mayRefresh = true;
  let refresh = false;
  for (let attempt = 0; ; attempt += 1) {
    let error: RheaError;
    try {
      const response = await attemptOnce(context, call, request, refresh, scope.signal);
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) return await accept(response, request);
      const body = await readBody(response, request, context.maxResponseBytes, scope.signal);
      error = errorOfAnswer(describeRequest(request), status, body, response.headers["retry-after"]);
    } catch (thrown) {
      error = RheaError.from(thrown);
    }
    refresh = error.details.kube?.httpStatus === 401 && mayRefresh;
    if (refresh) {
      // A token or plugin credential that ran out: once with new ones, whatever the verb, for a 401 has no effect.
      mayRefresh = false;
      continue;
    }
    if (!shouldRetry(call, error)) throw error;
    const backoffMs = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempt);
    const waitMs = error.details.retryAfterMs ?? backoffMs / 2 + context.rng.int(backoffMs / 2);
    if (context.clock.monotonicMs() + waitMs >= givesUpAt) throw error;
    await delay(context.scheduler, waitMs, scope.signal);
  }
}

function shouldRetry(call: Call, error: RheaError): boolean {
  if (call.retry === "none") return false;
  switch (error.code) {
    case "SERVER_BUSY":
      return true; // turned away before it was looked at
    case "UNAVAILABLE":
      return call.retry === "all" || error.details.maybeApplied !== true;
    case "KUBE_API":
      return call.retry === "all" && (error.details.kube?.httpStatus ?? 0) >= 500;
    default:
      return false;
  }
}

function requestOf(context: CallContext, call: Call): HttpRequest {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(call.query ?? {})) if (value !== undefined) query.set(name, value);
  const text = query.toString();
  return {
    method: call.method,
    server: context.endpoint.server,
    path: text === "" ? call.path : `${call.path}?${text}`,
    headers: {
      accept: call.accept ?? "application/json",
      "user-agent": context.userAgent,
      ...(call.body === undefined ? {} : { "content-type": call.contentType ?? "application/json" }),
    },
    ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
  };
}

async function attemptOnce(
  context: CallContext,
  call: Call,
  request: HttpRequest,
  refresh: boolean,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const startedAt = context.clock.monotonicMs();
  let status = 0;
  try {
    const response = await exchange(await orAborted(context.endpoint.connect(refresh), signal), request, signal);
    status = response.statusCode ?? 0;
    for (const warning of [response.headers["warning"] ?? []].flat()) context.onWarning(warning);
    return response;
  } finally {
    context.onRequest({
      verb: call.verb,
      method: call.method,
      resource: call.resource,
      status,
      seconds: (context.clock.monotonicMs() - startedAt) / 1000,
      host: new URL(context.endpoint.server).host,
    });
  }
}
