/** Where routes come from: PD, or any store. */
import { RheaError, type Net, type RpcChannel } from "@rhea/common";
import { KvMethods, PdMethods } from "@rhea/proto";
import type { PdClient } from "../admin/pd-client.js";
import type { RouteAnswer, RouteSource } from "./router.js";

/** Time for a lookup at PD before the stores are asked. */
const PD_TIMEOUT_MS = 1_500;
/** Time for one store's answer. */
const STORE_TIMEOUT_MS = 1_000;

/** Routes from PD. */
export function pdRoutes(pd: PdClient): RouteSource {
  return {
    name: "PD",
    routes: (key, count) =>
      pd.call(PdMethods.GetRegion, { header: pd.header, key, prefetch: count - 1 }, { timeoutMs: PD_TIMEOUT_MS }),
  };
}

/**
 * Routes from stores: each knows its own regions and most of what its neighbours lead. Stores are asked one after the other until one
 * knows the region of the key, the one that answered last first.
 */
export class StoreRoutes implements RouteSource {
  readonly name = "stores";
  readonly #net: Net;
  readonly #known: () => Iterable<string>;
  readonly #channels = new Map<string, RpcChannel>();
  #preferred: string | undefined;

  /** `known`: addresses of stores at the time of a lookup. */
  constructor(net: Net, known: () => Iterable<string>) {
    this.#net = net;
    this.#known = known;
  }

  async routes(key: Buffer, count: number): Promise<RouteAnswer> {
    const addresses = [...new Set(this.#known())];
    addresses.sort((a, b) => Number(b === this.#preferred) - Number(a === this.#preferred));
    let lastError = new RheaError("UNAVAILABLE", "no store's address is known");
    let other: RouteAnswer | undefined;
    for (const address of addresses) {
      try {
        const answer = await this.#ask(address, key, count);
        if (holds(answer, key)) {
          this.#preferred = address;
          return answer;
        }
        other ??= answer;
      } catch (error) {
        lastError = RheaError.from(error);
        this.#channels.get(address)?.close(); // the next lookup connects at once
        this.#channels.delete(address);
      }
    }
    if (other !== undefined) return other;
    throw lastError;
  }

  /** Closes all channels. */
  close(): void {
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }

  async #ask(address: string, key: Buffer, count: number): Promise<RouteAnswer> {
    let channel = this.#channels.get(address);
    if (channel === undefined) {
      channel = this.#net.connect(address);
      this.#channels.set(address, channel);
    }
    return channel.unary(KvMethods.Routes, { startKey: key, limit: count }, { timeoutMs: STORE_TIMEOUT_MS });
  }
}

function holds(answer: RouteAnswer, key: Buffer): boolean {
  return answer.routes.some(
    ({ region }) =>
      region !== null &&
      Buffer.compare(region.startKey, key) <= 0 &&
      (region.endKey.length === 0 || Buffer.compare(key, region.endKey) < 0),
  );
}
