/**
 * Calls to the leader of a group, by whoever knows some of its members' addresses: asks them who leads, goes there, follows hints, and tries
 * again until the time given is over. Everything that is called this way may be repeated.
 */
import { RheaError, type Clock, type Net, type RpcChannel, type RpcMethod, type Scheduler } from "@rhea/common";
import { CliMethods, type CliRequest, type CliRequestInit, type CliResponse, type CliResponseInit } from "@rhea/proto";
import type { Configuration } from "./configuration.js";

/** A method of the CliService. */
export type CliMethod = RpcMethod<CliRequestInit, CliRequest, CliResponseInit, CliResponse>;

/** What calls need. */
export interface LeaderCallsOptions {
  readonly net: Net;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** Ms that one process is given to say who leads. */
  readonly attemptTimeoutMs: number;
  /** Ms between rounds over all known processes. */
  readonly retryMs: number;
}

/** Hints followed one after the other without a rest: a group that passes callers round in circles is electing. */
const MAX_HOPS = 3;

type Errors = Map<string, RheaError>;

/** Connections to the processes of some groups, and who led them last. */
export class LeaderCalls {
  readonly #options: LeaderCallsOptions;
  readonly #channels = new Map<string, RpcChannel>();
  readonly #leaders = new Map<number, string>();
  #isClosed = false;

  constructor(options: LeaderCallsOptions) {
    this.#options = options;
  }

  /** Calls one process, once. */
  async callAt(address: string, method: CliMethod, request: CliRequestInit, timeoutMs: number): Promise<CliResponse> {
    if (this.#isClosed) throw new RheaError("SHUTTING_DOWN", "the CliService client is closed");
    const channel = this.#channels.get(address) ?? this.#options.net.connect(address);
    this.#channels.set(address, channel);
    return channel.unary(method, request, { timeoutMs: Math.max(1, timeoutMs) });
  }

  /**
   * Calls the leader of the request's group.
   * @throws RheaError of the leader; LEADER_NOT_AVAILABLE with what each process said when none was found in time.
   */
  async callLeader(
    configuration: Configuration,
    method: CliMethod,
    request: CliRequestInit & { readonly groupId: number },
    timeoutMs: number,
  ): Promise<CliResponse> {
    const { groupId } = request;
    const errors: Errors = new Map();
    const deadlineMs = this.#options.clock.monotonicMs() + timeoutMs;
    const leftMs = (): number => deadlineMs - this.#options.clock.monotonicMs();
    for (let hops = 0; ; hops++) {
      const address = await this.#locate(groupId, configuration, errors, leftMs);
      if (address === undefined) throw this.#noLeader(groupId, timeoutMs, errors);
      try {
        const response = await this.callAt(address, method, request, leftMs());
        this.#leaders.set(groupId, address);
        return response;
      } catch (thrown) {
        const error = RheaError.from(thrown);
        errors.set(address, error);
        if (!this.#mayRepeat(error) || leftMs() <= 0) throw error;
        const hint = addressOfHint(error, configuration);
        if (hint === undefined || hint === address) this.#leaders.delete(groupId);
        else this.#leaders.set(groupId, hint);
        if (hint === undefined || hint === address || hops % MAX_HOPS === MAX_HOPS - 1) await this.#rest(leftMs());
      }
    }
  }

  /** Forgets who led a group. */
  forget(groupId: number): void {
    this.#leaders.delete(groupId);
  }

  /** Closes all connections. */
  close(): void {
    this.#isClosed = true;
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }

  /** Finds where the leader is believed to be; undefined when the time is over. */
  async #locate(
    groupId: number,
    configuration: Configuration,
    errors: Errors,
    leftMs: () => number,
  ): Promise<string | undefined> {
    const known = this.#leaders.get(groupId);
    if (known !== undefined) return leftMs() > 0 ? known : undefined;
    const addresses = addressesOf(groupId, configuration);
    for (;;) {
      for (const address of addresses) {
        if (leftMs() <= 0) return undefined;
        try {
          const timeoutMs = Math.min(leftMs(), this.#options.attemptTimeoutMs);
          const { leader } = await this.callAt(address, CliMethods.GetLeader, { groupId }, timeoutMs);
          if (leader === null) continue;
          const found = leader.address === "" ? addressIn(configuration, leader) : leader.address;
          if (found !== undefined) return found;
          const what = `it says that peer ${leader.peerId} on store ${leader.storeId} leads, whose address nobody says`;
          errors.set(address, new RheaError("LEADER_NOT_AVAILABLE", what));
        } catch (thrown) {
          const error = RheaError.from(thrown);
          errors.set(address, error);
          if (this.#isClosed || !isPassing(error)) throw error;
        }
      }
      if (leftMs() <= 0) return undefined;
      await this.#rest(leftMs());
    }
  }

  #mayRepeat(error: RheaError): boolean {
    // Another change goes on: that is for the caller to know. A transfer that failed as well.
    if (error.code === "CONF_CHANGE_BUSY" || error.code === "TRANSFER_FAILED") return false;
    return error.retryable && !this.#isClosed;
  }

  async #rest(leftMs: number): Promise<void> {
    const delayMs = Math.min(this.#options.retryMs, Math.max(0, leftMs));
    await new Promise<void>((resolve) => {
      this.#options.scheduler.setTimer(delayMs, resolve);
    });
  }

  #noLeader(groupId: number, timeoutMs: number, errors: Errors): RheaError {
    const said = [...errors].map(([address, { code, message }]) => `${address}: ${code}: ${message}`);
    const what = said.length === 0 ? "nobody was asked" : said.join("; ");
    const last = [...errors.values()].at(-1);
    return new RheaError("LEADER_NOT_AVAILABLE", `group ${groupId}: no leader found within ${timeoutMs} ms: ${what}`, {
      details: { regionId: groupId },
      ...(last === undefined ? {} : { cause: last }),
    });
  }
}

/** The processes to ask. @throws RheaError INVALID_ARGUMENT when none has an address. */
function addressesOf(groupId: number, configuration: Configuration): string[] {
  const addresses = configuration.flatMap(({ address }) => (address === undefined ? [] : [address]));
  if (addresses.length > 0) return addresses;
  throw new RheaError("INVALID_ARGUMENT", `group ${groupId}: the configuration names no peer with an address`);
}

function addressOfHint({ details }: RheaError, configuration: Configuration): string | undefined {
  const { leader } = details;
  if (leader === undefined) return undefined;
  return leader.address ?? addressIn(configuration, leader);
}

function addressIn(
  configuration: Configuration,
  { peerId, storeId }: { readonly peerId: number; readonly storeId: number },
): string | undefined {
  const isIt = (peer: Configuration[number]): boolean =>
    peer.storeId === storeId || (peerId !== 0 && peer.peerId === peerId);
  return configuration.find(isIt)?.address;
}

/** Whether another process may know better. */
function isPassing(error: RheaError): boolean {
  return error.retryable || error.code === "DEADLINE_EXCEEDED" || error.code === "CANCELLED";
}
