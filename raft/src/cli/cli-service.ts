/** JRaft's CliService: administration of groups from any process, by the addresses of some of their members. */
import { RheaError, type Clock, type Net, type Scheduler } from "@rhea/common";
import { CliMethods, type CliRequestInit, type CliResponse } from "@rhea/proto";
import type { ChangeOptions, PeerInfo } from "../node/index.js";
import { peerFromWire, peerToWire } from "../node/membership.js";
import { parseConfiguration, type Configuration } from "./configuration.js";
import { LeaderCalls, type CliMethod } from "./leader-calls.js";
import { planRebalance, type LedGroup } from "./rebalance.js";

/** What a client of the CliService needs. */
export interface CliServiceOptions {
  /** The way to the processes. */
  readonly net: Net;
  /** Time, for the limits of calls. */
  readonly clock: Clock;
  /** Timers between rounds. */
  readonly scheduler: Scheduler;
  /** Ms for a whole call, from looking for the leader to its answer; default 30,000: a new voter may need a while to catch up. */
  readonly timeoutMs?: number;
  /** Ms that one process is given to say who leads; default 1,000. */
  readonly attemptTimeoutMs?: number;
  /** Ms between rounds over all processes while none leads; default 100. */
  readonly retryMs?: number;
}

/** How one call is made. */
export interface CliCallOptions extends ChangeOptions {
  /** Ms for the whole call; default the service's. */
  readonly timeoutMs?: number;
}

/** Members as a configuration, or as its text. */
export type GivenConfiguration = Configuration | string;

/** What a rebalancing came to. */
export interface RebalanceResult {
  /** Who leads each group now. */
  readonly leaders: ReadonlyMap<number, PeerInfo>;
  /** The groups whose leadership should have moved and did not, and why. */
  readonly failed: ReadonlyMap<number, RheaError>;
}

/**
 * Administration of groups. `configuration` names members to ask, not necessarily all, and may be old. Calls for the leader go wherever it is,
 * and are repeated while there is none; they resolve with the group's members as they are then. What is as asked for already is success.
 * All reject with a RheaError: LEADER_NOT_AVAILABLE (none was found in time; says what each process answered), UNAVAILABLE or
 * DEADLINE_EXCEEDED (the leader does not answer: repeat), CONF_CHANGE_BUSY (another change goes on), OPERATION_REFUSED, TRANSFER_FAILED,
 * NOT_FOUND, INVALID_ARGUMENT.
 */
export interface CliService {
  /** Adds a voter (a learner first, until it has caught up) or a learner, or promotes one. */
  addPeer(
    groupId: number,
    configuration: GivenConfiguration,
    peer: PeerInfo,
    options?: CliCallOptions,
  ): Promise<Configuration>;
  /** Removes a peer, named by id, store or address. */
  removePeer(
    groupId: number,
    configuration: GivenConfiguration,
    peer: PeerInfo,
    options?: CliCallOptions,
  ): Promise<Configuration>;
  /** Makes `peers` the voters, in one change; learners that are not named stay. */
  changePeers(
    groupId: number,
    configuration: GivenConfiguration,
    peers: GivenConfiguration,
    options?: CliCallOptions,
  ): Promise<Configuration>;
  /** Makes `peer`, the last that is left of a group without quorum, take `peers` as its configuration by force. Data may be lost. Asked once, not repeated. */
  resetPeer(
    groupId: number,
    peer: PeerInfo,
    peers: GivenConfiguration,
    options?: CliCallOptions,
  ): Promise<Configuration>;
  /** Adds learners. */
  addLearners(
    groupId: number,
    configuration: GivenConfiguration,
    learners: GivenConfiguration,
    options?: CliCallOptions,
  ): Promise<Configuration>;
  /** Removes learners. */
  removeLearners(
    groupId: number,
    configuration: GivenConfiguration,
    learners: GivenConfiguration,
    options?: CliCallOptions,
  ): Promise<Configuration>;
  /** Makes these, and no others, the learners; an empty list removes all. */
  resetLearners(
    groupId: number,
    configuration: GivenConfiguration,
    learners: GivenConfiguration,
    options?: CliCallOptions,
  ): Promise<Configuration>;
  /** Makes a voter of a learner that has caught up. */
  learnerToFollower(
    groupId: number,
    configuration: GivenConfiguration,
    learner: PeerInfo,
    options?: CliCallOptions,
  ): Promise<Configuration>;
  /** Hands leadership to a voter; `any`: to the one that follows closest. */
  transferLeader(
    groupId: number,
    configuration: GivenConfiguration,
    peer: PeerInfo | "any",
    options?: CliCallOptions,
  ): Promise<void>;
  /** Makes one peer save a snapshot; resolves with the index it reaches. Asked once, not repeated. */
  snapshot(groupId: number, peer: PeerInfo, options?: CliCallOptions): Promise<{ readonly index: number }>;
  /** Who leads. */
  getLeader(groupId: number, configuration: GivenConfiguration, options?: CliCallOptions): Promise<PeerInfo>;
  /** The voters. */
  getPeers(groupId: number, configuration: GivenConfiguration, options?: CliCallOptions): Promise<Configuration>;
  /** The voters that the leader heard of within an election timeout. */
  getAlivePeers(groupId: number, configuration: GivenConfiguration, options?: CliCallOptions): Promise<Configuration>;
  /** The learners. */
  getLearners(groupId: number, configuration: GivenConfiguration, options?: CliCallOptions): Promise<Configuration>;
  /** The learners that the leader heard of within an election timeout. */
  getAliveLearners(
    groupId: number,
    configuration: GivenConfiguration,
    options?: CliCallOptions,
  ): Promise<Configuration>;
  /** Spreads the leaders of these groups over the processes that have their voters. `timeoutMs` is for each call. */
  rebalance(
    groupIds: readonly number[],
    configuration: GivenConfiguration,
    options?: CliCallOptions,
  ): Promise<RebalanceResult>;
  /** Closes the connections; calls under way fail. */
  close(): void;
}

const DEFAULTS = { timeoutMs: 30_000, attemptTimeoutMs: 1_000, retryMs: 100 };

/** Makes a client of the CliService. It connects when it is asked something. */
export function createCliService(options: CliServiceOptions): CliService {
  return new Client({ ...DEFAULTS, ...options });
}

class Client implements CliService {
  readonly #options: Required<CliServiceOptions>;
  readonly #calls: LeaderCalls;

  constructor(options: Required<CliServiceOptions>) {
    this.#options = options;
    this.#calls = new LeaderCalls(options);
  }

  addPeer(
    groupId: number,
    configuration: GivenConfiguration,
    peer: PeerInfo,
    options?: CliCallOptions,
  ): Promise<Configuration> {
    return this.#change(CliMethods.AddPeer, groupId, configuration, { peer: peerToWire(peer) }, options);
  }

  removePeer(
    groupId: number,
    configuration: GivenConfiguration,
    peer: PeerInfo,
    options?: CliCallOptions,
  ): Promise<Configuration> {
    return this.#change(CliMethods.RemovePeer, groupId, configuration, { peer: peerToWire(peer) }, options);
  }

  changePeers(
    groupId: number,
    configuration: GivenConfiguration,
    peers: GivenConfiguration,
    options?: CliCallOptions,
  ): Promise<Configuration> {
    return this.#change(CliMethods.ChangePeers, groupId, configuration, { peers: toWire(peers) }, options);
  }

  async resetPeer(
    groupId: number,
    peer: PeerInfo,
    peers: GivenConfiguration,
    options?: CliCallOptions,
  ): Promise<Configuration> {
    const request = { groupId, peer: peerToWire(peer), peers: toWire(peers) };
    return membersOf(await this.#callPeer(CliMethods.ResetPeers, peer, request, options));
  }

  addLearners(
    groupId: number,
    configuration: GivenConfiguration,
    learners: GivenConfiguration,
    options?: CliCallOptions,
  ): Promise<Configuration> {
    return this.#change(CliMethods.AddLearners, groupId, configuration, { peers: learnersToWire(learners) }, options);
  }

  removeLearners(
    groupId: number,
    configuration: GivenConfiguration,
    learners: GivenConfiguration,
    options?: CliCallOptions,
  ): Promise<Configuration> {
    return this.#change(
      CliMethods.RemoveLearners,
      groupId,
      configuration,
      { peers: learnersToWire(learners) },
      options,
    );
  }

  resetLearners(
    groupId: number,
    configuration: GivenConfiguration,
    learners: GivenConfiguration,
    options?: CliCallOptions,
  ): Promise<Configuration> {
    return this.#change(CliMethods.ResetLearners, groupId, configuration, { peers: learnersToWire(learners) }, options);
  }

  learnerToFollower(
    groupId: number,
    configuration: GivenConfiguration,
    learner: PeerInfo,
    options?: CliCallOptions,
  ): Promise<Configuration> {
    return this.#change(CliMethods.LearnerToFollower, groupId, configuration, { peer: peerToWire(learner) }, options);
  }

  async transferLeader(
    groupId: number,
    configuration: GivenConfiguration,
    peer: PeerInfo | "any",
    options?: CliCallOptions,
  ): Promise<void> {
    const request = peer === "any" ? { any: true } : { peer: peerToWire(peer) };
    await this.#callLeader(CliMethods.TransferLeader, groupId, configuration, request, options);
    this.#calls.forget(groupId);
  }

  async snapshot(groupId: number, peer: PeerInfo, options?: CliCallOptions): Promise<{ readonly index: number }> {
    const request = { groupId, peer: peerToWire(peer) };
    const { snapshotIndex } = await this.#callPeer(CliMethods.Snapshot, peer, request, options);
    return { index: snapshotIndex };
  }

  async getLeader(groupId: number, configuration: GivenConfiguration, options?: CliCallOptions): Promise<PeerInfo> {
    // Who leads is asked of the leader itself: another one's word may be old.
    const { leader } = await this.#callLeader(CliMethods.GetPeers, groupId, configuration, {}, options);
    if (leader !== null) return peerFromWire(leader);
    throw new RheaError("LEADER_NOT_AVAILABLE", `group ${groupId} lost its leader while it was asked: repeat`);
  }

  async getPeers(groupId: number, configuration: GivenConfiguration, options?: CliCallOptions): Promise<Configuration> {
    const response = await this.#callLeader(CliMethods.GetPeers, groupId, configuration, {}, options);
    return membersOf(response).filter(({ role }) => role === "voter");
  }

  async getAlivePeers(
    groupId: number,
    configuration: GivenConfiguration,
    options?: CliCallOptions,
  ): Promise<Configuration> {
    return membersOf(await this.#callLeader(CliMethods.GetAlivePeers, groupId, configuration, {}, options));
  }

  async getLearners(
    groupId: number,
    configuration: GivenConfiguration,
    options?: CliCallOptions,
  ): Promise<Configuration> {
    return membersOf(await this.#callLeader(CliMethods.GetLearners, groupId, configuration, {}, options));
  }

  async getAliveLearners(
    groupId: number,
    configuration: GivenConfiguration,
    options?: CliCallOptions,
  ): Promise<Configuration> {
    return membersOf(await this.#callLeader(CliMethods.GetAliveLearners, groupId, configuration, {}, options));
  }

  async rebalance(
    groupIds: readonly number[],
    configuration: GivenConfiguration,
    options?: CliCallOptions,
  ): Promise<RebalanceResult> {
    const groups: LedGroup[] = [];
    const failed = new Map<number, RheaError>();
    for (const groupId of groupIds) {
      const response = await this.#callLeader(CliMethods.GetAlivePeers, groupId, configuration, {}, options);
      if (response.leader === null) continue;
      groups.push({ groupId, leader: peerFromWire(response.leader), voters: membersOf(response) });
    }
    const leaders = new Map(groups.map(({ groupId, leader }) => [groupId, leader]));
    for (const { groupId, to } of planRebalance(groups)) {
      try {
        await this.transferLeader(groupId, configuration, to, options);
        leaders.set(groupId, to);
      } catch (thrown) {
        failed.set(groupId, RheaError.from(thrown));
      }
    }
    return { leaders, failed };
  }

  close(): void {
    this.#calls.close();
  }

  async #change(
    method: CliMethod,
    groupId: number,
    configuration: GivenConfiguration,
    request: CliRequestInit,
    options: CliCallOptions = {},
  ): Promise<Configuration> {
    const { withoutCatchUp = false, catchUpMargin = 0, catchUpTimeoutMs = 0 } = options;
    const how = { withoutCatchUp, catchUpMargin, catchUpTimeoutMs };
    return membersOf(await this.#callLeader(method, groupId, configuration, { ...request, ...how }, options));
  }

  #callLeader(
    method: CliMethod,
    groupId: number,
    configuration: GivenConfiguration,
    request: CliRequestInit,
    options: CliCallOptions = {},
  ): Promise<CliResponse> {
    const { timeoutMs = this.#options.timeoutMs } = options;
    return this.#calls.callLeader(toList(configuration), method, { ...request, groupId }, timeoutMs);
  }

  async #callPeer(
    method: CliMethod,
    { peerId, address }: PeerInfo,
    request: CliRequestInit,
    options: CliCallOptions = {},
  ): Promise<CliResponse> {
    if (address === undefined) throw new RheaError("INVALID_ARGUMENT", `peer ${peerId} is given without its address`);
    const { timeoutMs = this.#options.timeoutMs } = options;
    return this.#calls.callAt(address, method, request, timeoutMs);
  }
}

function toList(configuration: GivenConfiguration): Configuration {
  return typeof configuration === "string" ? parseConfiguration(configuration) : configuration;
}

function toWire(configuration: GivenConfiguration): CliRequestInit["peers"] {
  return toList(configuration).map(peerToWire);
}

function learnersToWire(configuration: GivenConfiguration): CliRequestInit["peers"] {
  return toList(configuration).map((peer) => peerToWire({ ...peer, role: "learner" }));
}

function membersOf({ peers }: CliResponse): PeerInfo[] {
  return peers.map(peerFromWire);
}
