/** Calls to PD's leader, wherever it is: follows hints, tries the other members, backs off. */
import {
  RheaError,
  type Clock,
  type Net,
  type RpcChannel,
  type RpcMethod,
  type RpcStream,
  type Scheduler,
} from "@rhea/common";
import { PdMethods, type PdToStore, type StoreToPdInit } from "@rhea/proto";

const CALL_TIMEOUT_MS = 3_000;
const RETRY_MS = 200;

/** What a channel needs. */
export interface PdChannelOptions {
  readonly net: Net;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** `host:port` of PD members; at least one. */
  readonly addresses: readonly string[];
}

/** One connection at a time, to the member believed to lead. */
export class PdChannel {
  readonly #options: PdChannelOptions;
  #at = 0;
  #hint: string | undefined;
  /** Members that PD named, beside the configured ones. */
  #learned: readonly string[] = [];
  #channel: RpcChannel | undefined;
  #isClosed = false;

  constructor(options: PdChannelOptions) {
    this.#options = options;
  }

  /** Calls until PD's leader answers or `timeoutMs` have passed. Throws PD's own errors at once, UNAVAILABLE at the end. */
  async call<ReqInit, Req, ResInit, Res>(
    method: RpcMethod<ReqInit, Req, ResInit, Res>,
    request: ReqInit,
    timeoutMs: number,
  ): Promise<Res> {
    const until = this.#options.clock.monotonicMs() + timeoutMs;
    for (;;) {
      try {
        return await this.#open().unary(method, request, { timeoutMs: CALL_TIMEOUT_MS });
      } catch (thrown) {
        const error = RheaError.from(thrown);
        if (!this.moveOn(error) || this.#isClosed || this.#options.clock.monotonicMs() >= until) throw error;
      }
      await this.pause(RETRY_MS);
    }
  }

  /** Opens the heartbeat stream to the member believed to lead. */
  heartbeats(): RpcStream<PdToStore, StoreToPdInit> {
    return this.#open().stream(PdMethods.Heartbeats);
  }

  /** Turns to another member where the error says that this one cannot answer; false for an answer in its own right. */
  moveOn(error: RheaError): boolean {
    const isElsewhere = error.code === "PD_NOT_LEADER" || error.code === "NOT_LEADER";
    const isBroken =
      error.code === "UNAVAILABLE" ||
      error.code === "DEADLINE_EXCEEDED" ||
      error.code === "SHUTTING_DOWN" ||
      error.code === "CANCELLED";
    if (!isElsewhere && !isBroken) return false;
    this.#channel?.close();
    this.#channel = undefined;
    this.#hint = isElsewhere ? error.details.leader?.address : undefined;
    this.#at++;
    return true;
  }

  /** Takes in where PD's members are now, for when those that are configured are gone. */
  learn(addresses: readonly string[]): void {
    const { addresses: configured } = this.#options;
    this.#learned = addresses.filter((address) => address !== "" && !configured.includes(address));
  }

  /** Waits on the injected scheduler. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#options.scheduler.setTimer(ms, resolve));
  }

  close(): void {
    this.#isClosed = true;
    this.#channel?.close();
  }

  #open(): RpcChannel {
    if (this.#channel !== undefined) return this.#channel;
    const { net } = this.#options;
    const addresses = [...this.#options.addresses, ...this.#learned];
    const address = this.#hint ?? addresses[this.#at % addresses.length];
    if (address === undefined) throw new RheaError("INVALID_CONFIG", "no address of PD is configured");
    this.#channel = net.connect(address);
    return this.#channel;
  }
}
