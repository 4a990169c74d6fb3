/**
 * Unary calls to PD: finds the member that leads, follows its hints and repeats within a deadline what can be repeated. Callers are the
 * administration, and the router for routes.
 */
import {
  RheaError,
  type Clock,
  type Net,
  type Rng,
  type RpcChannel,
  type RpcMethod,
  type Scheduler,
} from "@rhea/common";
import type { CallOptions } from "../options.js";

/** Longest time for one attempt: a member that hangs is left for the next one. */
const ATTEMPT_TIMEOUT_MS = 3_000;
const MIN_BACKOFF_MS = 20;
const MAX_BACKOFF_MS = 300;

/** What PD calls need from outside. */
export interface PdEnvironment {
  readonly net: Net;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
}

/** See the file's header. */
export class PdClient {
  readonly header: { readonly clusterId: number };
  readonly #env: PdEnvironment;
  /** Configured members first, then those learned from hints. */
  readonly #addresses: string[];
  readonly #channels = new Map<string, RpcChannel>();
  #leader = 0;
  #isClosed = false;

  constructor(env: PdEnvironment, addresses: readonly string[], clusterId: number) {
    this.#env = env;
    this.#addresses = [...addresses];
    this.header = { clusterId };
  }

  /** Whether any address is known. */
  get isConfigured(): boolean {
    return this.#addresses.length > 0;
  }

  /**
   * Calls the leading member. Repeats on broken connections, changes of leader and whatever else PD says is worth repeating; all of PD's
   * calls are idempotent. Rejects with PD's error, or DEADLINE_EXCEEDED naming what was tried.
   */
  async call<ReqInit, Req, ResInit, Res>(
    method: RpcMethod<ReqInit, Req, ResInit, Res>,
    request: ReqInit,
    options: CallOptions & { readonly timeoutMs: number },
  ): Promise<Res> {
    if (!this.isConfigured) {
      throw new RheaError("INVALID_ARGUMENT", `${method.path}: no address of a PD member was given (option pd)`);
    }
    const { clock } = this.#env;
    const deadlineMs = clock.monotonicMs() + options.timeoutMs;
    for (let attempt = 1; ; attempt++) {
      if (this.#isClosed) throw new RheaError("SHUTTING_DOWN", "the client was closed");
      const address = this.#addresses[this.#leader % this.#addresses.length] ?? "";
      const remainingMs = Math.max(1, deadlineMs - clock.monotonicMs());
      try {
        return await this.#channel(address).unary(method, request, {
          timeoutMs: Math.min(remainingMs, ATTEMPT_TIMEOUT_MS),
          ...(options.signal === undefined ? {} : { signal: options.signal }),
        });
      } catch (thrown) {
        const error = RheaError.from(thrown);
        if (options.signal?.aborted === true) throw error;
        if (!this.#isRepeatable(error)) throw error;
        const isHint = this.#follow(error, address);
        const leftMs = deadlineMs - clock.monotonicMs();
        const pauseMs = isHint && attempt < 4 ? 0 : this.#pauseMs(attempt);
        if (leftMs <= pauseMs) throw this.#outOfTime(method.path, options.timeoutMs, attempt, error);
        if (pauseMs > 0) await this.#sleep(pauseMs);
      }
    }
  }

  /** Takes in where PD's members are, for when the ones that it was given are gone. */
  learn(addresses: readonly string[]): void {
    for (const address of addresses) {
      if (address !== "" && !this.#addresses.includes(address)) this.#addresses.push(address);
    }
  }

  /** Closes all channels; calls that wait reject. */
  close(): void {
    this.#isClosed = true;
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }

  #channel(address: string): RpcChannel {
    let channel = this.#channels.get(address);
    if (channel === undefined) {
      channel = this.#env.net.connect(address);
      this.#channels.set(address, channel);
    }
    return channel;
  }

  #isRepeatable(error: RheaError): boolean {
    return error.retryable || error.code === "DEADLINE_EXCEEDED" || error.code === "CANCELLED";
  }

  /** Turns to the member that the error names, or to the next one. Returns whether it named one. */
  #follow(error: RheaError, from: string): boolean {
    if (error.code === "UNAVAILABLE" || error.code === "DEADLINE_EXCEEDED" || error.code === "CANCELLED") {
      // A fresh channel connects at once; the old one might sit in its own back-off.
      this.#channels.get(from)?.close();
      this.#channels.delete(from);
      this.#leader = (this.#leader + 1) % this.#addresses.length;
      return false;
    }
    if (error.code !== "PD_NOT_LEADER") return false;
    const hint = error.details.leader?.address;
    if (hint === undefined || hint === from) {
      this.#leader = (this.#leader + 1) % this.#addresses.length;
      return false;
    }
    let index = this.#addresses.indexOf(hint);
    if (index < 0) index = this.#addresses.push(hint) - 1;
    this.#leader = index;
    return true;
  }

  #pauseMs(attempt: number): number {
    const base = Math.min(MIN_BACKOFF_MS * 2 ** Math.min(attempt - 1, 10), MAX_BACKOFF_MS);
    return base / 2 + this.#env.rng.int(Math.ceil(base / 2) + 1);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#env.scheduler.setTimer(ms, resolve);
    });
  }

  #outOfTime(path: string, timeoutMs: number, attempts: number, last: RheaError): RheaError {
    return new RheaError(
      "DEADLINE_EXCEEDED",
      `${path}: no answer from PD (${this.#addresses.join(", ")}) within ${timeoutMs} ms, ${attempts} attempts; last error: ${last.code}: ${last.message}`,
      { cause: last },
    );
  }
}
