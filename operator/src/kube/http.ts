/** One HTTP exchange with the API server: no retries, no meaning. */
import * as http from "node:http";
import * as https from "node:https";
import { RheaError, type Scheduler } from "@rhea/common";
import type { KubeConnection } from "./endpoint.js";

/** A signal that fires by the caller's wish or when time is up; its reason is the RheaError to throw. */
export interface CallScope {
  readonly signal: AbortSignal;
  /** Fires the signal with an error of the callee's. */
  abort(error: RheaError): void;
  /** Ends the time limit; the caller's signal stays connected until {@link CallScope.close}. */
  stopTimer(): void;
  /** Lets go of timer and caller's signal. */
  close(): void;
}

/** Opens a scope that fires with CANCELLED when `outer` does and with DEADLINE_EXCEEDED after `timeoutMs`. `what` names the call. */
export function openScope(
  scheduler: Scheduler,
  timeoutMs: number,
  outer: AbortSignal | undefined,
  what: string,
): CallScope {
  const controller = new AbortController();
  const cancel = (): void => {
    controller.abort(new RheaError("CANCELLED", `${what}: the caller gave up`, { cause: outer?.reason }));
  };
  const timer = scheduler.setTimer(timeoutMs, () => {
    controller.abort(
      new RheaError("DEADLINE_EXCEEDED", `${what}: no answer within ${timeoutMs} ms`, {
        details: { maybeApplied: true },
      }),
    );
  });
  if (outer?.aborted === true) cancel();
  else outer?.addEventListener("abort", cancel, { once: true });
  return {
    signal: controller.signal,
    abort: (error) => controller.abort(error),
    stopTimer: () => timer.cancel(),
    close() {
      timer.cancel();
      outer?.removeEventListener("abort", cancel);
    },
  };
}

/** Waits `delayMs` or rejects with the signal's reason. */
export function delay(scheduler: Scheduler, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const give = (): void => {
      timer.cancel();
      reject(reasonOf(signal));
    };
    const timer = scheduler.setTimer(delayMs, () => {
      signal.removeEventListener("abort", give);
      resolve();
    });
    if (signal.aborted) give();
    else signal.addEventListener("abort", give, { once: true });
  });
}

/** Waits for `work` or rejects with the signal's reason, whichever is first. */
export function orAborted<R>(work: Promise<R>, signal: AbortSignal): Promise<R> {
  return new Promise((resolve, reject) => {
    const give = (): void => reject(reasonOf(signal));
    if (signal.aborted) give();
    else signal.addEventListener("abort", give, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", give));
  });
}

/** Returns the RheaError with which a signal was fired. */
export function reasonOf(signal: AbortSignal): RheaError {
  return signal.reason instanceof RheaError
    ? signal.reason
    : new RheaError("CANCELLED", "the caller gave up", { cause: signal.reason });
}

/** What to send. */
export interface HttpRequest {
  readonly method: string;
  /** Base URL of the server. */
  readonly server: string;
  /** Path with query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/**
 * Sends a request and returns the answer once its head is there. When the signal fires later, the answer's stream is destroyed with
 * the signal's reason. Throws UNAVAILABLE when the connection fails (`details.maybeApplied` false if it was never made).
 */
export function exchange(
  connection: KubeConnection,
  request: HttpRequest,
  signal: AbortSignal,
): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(reasonOf(signal));
      return;
    }
    const url = new URL(request.server + request.path);
    const isPlain = url.protocol === "http:";
    const body = request.body === undefined ? undefined : Buffer.from(request.body, "utf8");
    const outgoing = (isPlain ? http : https).request(url, {
      method: request.method,
      agent: connection.agent,
      headers: {
        ...request.headers,
        ...connection.headers,
        ...(body === undefined ? {} : { "content-length": String(body.length) }),
      },
    });
    let answer: http.IncomingMessage | undefined;
    const abort = (): void => {
      const reason = reasonOf(signal);
      answer?.destroy(reason);
      outgoing.destroy(reason);
      reject(reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    outgoing.on("error", (cause: NodeJS.ErrnoException) => {
      signal.removeEventListener("abort", abort);
      if (signal.aborted) reject(reasonOf(signal));
      else reject(connectionError(request, cause));
    });
    outgoing.once("response", (response: http.IncomingMessage) => {
      answer = response;
      // Without a listener, an error between here and the reader's first read would end the process.
      response.on("error", () => undefined);
      response.once("close", () => signal.removeEventListener("abort", abort));
      resolve(response);
    });
    outgoing.end(body);
  });
}

/** Reads a whole answer. Throws KUBE_API over `maxBytes`, UNAVAILABLE when the connection breaks, else the signal's reason. */
export async function readBody(
  response: http.IncomingMessage,
  request: HttpRequest,
  maxBytes: number,
  signal: AbortSignal,
): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxBytes) break;
      chunks.push(chunk);
    }
  } catch (cause) {
    if (signal.aborted) throw reasonOf(signal);
    throw connectionError(request, cause as NodeJS.ErrnoException);
  }
  if (length > maxBytes) {
    response.destroy();
    throw new RheaError("KUBE_API", `${describeRequest(request)}: the answer is over ${maxBytes} bytes`);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Wraps the failure of a connection. */
export function connectionError(request: HttpRequest, cause: NodeJS.ErrnoException): RheaError {
  if (cause instanceof RheaError) return cause;
  const isUnsent = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"].includes(cause.code ?? "");
  return new RheaError("UNAVAILABLE", `${describeRequest(request)} at ${request.server}: ${cause.message}`, {
    cause,
    details: isUnsent ? {} : { maybeApplied: true },
  });
}

/** Writes method and path of a request, without its query. */
export function describeRequest(request: HttpRequest): string {
  return `${request.method} ${request.path.split("?", 1)[0] ?? ""}`;
}
