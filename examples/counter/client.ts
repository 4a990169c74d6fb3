/** The counter's client: knows the members, finds the leader, and says honestly what became of an increment. */
import { RheaError, type Net, type RpcChannel } from "@rhea/common";
import { grpcNet, nodeClock, nodeScheduler } from "@rhea/common/env-node";
import {
  createCliService,
  createRouteTable,
  parsePeer,
  type CliService,
  type PeerInfo,
  type RouteTable,
} from "@rhea/raft";
import { COUNTER_GROUP, CounterMethods, type CounterAnswer } from "./counter-methods.js";

/** A client of one counter. */
export class CounterClient {
  /** JRaft's CliService, for members, leadership and snapshots. */
  readonly cli: CliService;
  readonly #net: Net;
  readonly #routes: RouteTable;
  readonly #channels = new Map<string, RpcChannel>();
  readonly #timeoutMs: number;

  /** `members`: some of them at least, `"host:port,host:port"`. `timeoutMs`: of one call. */
  constructor(members: string, timeoutMs = 5_000) {
    this.#net = grpcNet();
    this.#timeoutMs = timeoutMs;
    this.cli = createCliService({ net: this.#net, clock: nodeClock, scheduler: nodeScheduler });
    this.#routes = createRouteTable(this.cli);
    this.#routes.updateConfiguration(COUNTER_GROUP, members);
  }

  /**
   * Adds `delta` and returns the counter after it. Throws RheaError; where its `details.maybeApplied` is set, the increment may have happened:
   * repeating it would count twice.
   */
  async incrementAndGet(delta: number): Promise<number> {
    const deadline = nodeClock.monotonicMs() + this.#timeoutMs;
    for (;;) {
      const leader = await this.#leader(deadline);
      const answer = await this.#increment(leader, delta, deadline);
      if ("value" in answer) return answer.value;
      // Not the leader: nothing has happened there. It says who leads, or it does not know: then all are asked.
      const next = answer.redirect === null ? undefined : parsePeer(answer.redirect);
      this.#routes.updateLeader(COUNTER_GROUP, next);
    }
  }

  /** Reads the counter, linearizably, at the leader or at the member with this address. */
  async get(at?: string): Promise<number> {
    const deadline = nodeClock.monotonicMs() + this.#timeoutMs;
    const peer = at === undefined ? await this.#leader(deadline) : parsePeer(at);
    try {
      const { value } = await this.#channel(peer).unary(CounterMethods.Get, {}, { timeoutMs: this.#left(deadline) });
      return value;
    } catch (thrown) {
      if (at === undefined) this.#routes.updateLeader(COUNTER_GROUP, undefined);
      throw thrown;
    }
  }

  close(): void {
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
    this.cli.close();
  }

  async #increment(leader: PeerInfo, delta: number, deadline: number): Promise<CounterAnswer> {
    try {
      const timeoutMs = this.#left(deadline);
      return await this.#channel(leader).unary(CounterMethods.IncrementAndGet, { delta }, { timeoutMs });
    } catch (thrown) {
      const error = RheaError.from(thrown);
      this.#routes.updateLeader(COUNTER_GROUP, undefined);
      // Raft says itself whether an entry was certainly not applied; of a broken connection nobody knows.
      const isNothing = error.code === "PROPOSAL_DROPPED" || error.code === "STALE_COMMAND";
      if (isNothing || (error.code === "NOT_LEADER" && error.details.maybeApplied !== true)) return { redirect: null };
      const isUnknown = error.code === "UNAVAILABLE" || error.code === "DEADLINE_EXCEEDED";
      if (!isUnknown) throw error;
      throw new RheaError(error.code, error.message, { details: { maybeApplied: true }, cause: error });
    }
  }

  #leader(deadline: number): Promise<PeerInfo> {
    const known = this.#routes.selectLeader(COUNTER_GROUP);
    return known === undefined
      ? this.#routes.refreshLeader(COUNTER_GROUP, this.#left(deadline))
      : Promise.resolve(known);
  }

  #left(deadline: number): number {
    const left = deadline - nodeClock.monotonicMs();
    if (left > 0) return left;
    throw new RheaError("LEADER_NOT_AVAILABLE", `the counter found no leader within ${this.#timeoutMs} ms`);
  }

  #channel({ address = "" }: PeerInfo): RpcChannel {
    const known = this.#channels.get(address);
    if (known !== undefined) return known;
    const channel = this.#net.connect(address);
    this.#channels.set(address, channel);
    return channel;
  }
}
