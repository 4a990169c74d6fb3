/**
 * The sender: takes operations, finds their region and store, and brings each to an answer within its deadline. Callers are the calls in
 * `calls/`; below it are the router and one connection per store. All state changes of an operation happen here, on the event loop,
 * never from within `send` of a stream.
 */
import {
  RheaError,
  type Clock,
  type Net,
  type Rng,
  type Scheduler,
  type TimerHandle,
  errorFromWire,
} from "@rhea/common";
import type { KvResult } from "@rhea/proto";
import type { ClientOptions } from "../options.js";
import type { Router } from "../routing/router.js";
import { toRoute, type Route } from "../routing/route.js";
import type { Operation } from "./operation.js";
import { Sessions } from "./session.js";
import { StoreConnection, type ConnectionStats } from "./store-connection.js";
import { describeFailure, noteFailure } from "./trail.js";
import { judge, leavesDoubt } from "./verdict.js";

/** Deadlines and back-offs are looked at this often while operations are outstanding. */
const TICK_MS = 20;
/** The same while one of them backs off. */
const FAST_TICK_MS = 5;
const MIN_BACKOFF_MS = 10;
/** Cap while a region has no leader or no reachable replica: elections take 1 to 2 s. */
const MAX_BACKOFF_MS = 150;
/** Cap of the back-off from a busy store that names no time of its own. */
const MAX_BUSY_BACKOFF_MS = 1_000;
const MAX_ATTEMPT_TIMEOUT_FACTOR = 4;
/** How long an operation keeps away from a store that let it run out of time: others elect a new leader meanwhile. */
const AVOID_MS = 1_500;
/** Attempts one after the other without a pause. */
const MAX_HOPS = 8;

/** What the sender needs from outside. */
export interface SenderEnvironment {
  readonly net: Net;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
}

/** Counters of the sender. */
export interface SenderStats extends Readonly<ConnectionStats> {
  readonly outstanding: number;
  readonly retries: number;
  readonly sessions: number;
}

/** See the file's header. */
export class Sender {
  readonly sessions: Sessions;
  readonly #options: ClientOptions;
  readonly #env: SenderEnvironment;
  readonly #router: Router;
  readonly #connections = new Map<number, StoreConnection>();
  readonly #past: ConnectionStats = { messages: 0, operations: 0, streams: 0 };
  readonly #outstanding = new Set<Operation>();
  #waiting = 0;
  #retries = 0;
  #turn = 0;
  #timer: TimerHandle | undefined;
  #closedWith: RheaError | undefined;
  readonly #onTick = (): void => this.#tick();
  readonly #onResult = (operation: Operation, result: KvResult, connection: StoreConnection): void =>
    this.#answer(operation, result, connection);
  readonly #onLost = (operation: Operation, error: RheaError, wasSent: boolean, from: StoreConnection): void => {
    if (operation.state === "done") return;
    if (wasSent && operation.isWrite && judge(error.code) !== "final") operation.maybeApplied = true;
    this.#failed(operation, error, from);
  };

  constructor(options: ClientOptions, env: SenderEnvironment, router: Router) {
    this.#options = options;
    this.#env = env;
    this.#router = router;
    this.sessions = new Sessions(env.rng);
  }

  /**
   * Takes an operation. Throws, with nothing sent, when the client is closed (SHUTTING_DOWN), too much is outstanding (SERVER_BUSY) or
   * the signal has fired already (CANCELLED).
   */
  submit(operation: Operation, timeoutMs: number, signal: AbortSignal | undefined): void {
    const now = this.#env.clock.monotonicMs();
    this.#admit(signal);
    operation.startedMs = now;
    operation.timeoutMs = timeoutMs;
    operation.deadlineMs = now + timeoutMs;
    if (signal !== undefined) this.#watch(operation, signal);
    this.#start(operation);
  }

  /** Takes an operation that continues `parent`: it has the parent's deadline, signal and doubts. */
  resubmit(operation: Operation, parent: Operation): void {
    operation.startedMs = parent.startedMs;
    operation.timeoutMs = parent.timeoutMs;
    operation.deadlineMs = parent.deadlineMs;
    operation.lastError = parent.lastError;
    operation.trail = parent.trail;
    operation.attempts = parent.attempts;
    operation.maybeApplied = parent.maybeApplied && operation.identity?.seq === parent.identity?.seq;
    if (parent.signal !== undefined) {
      this.#admit(parent.signal);
      this.#watch(operation, parent.signal);
    }
    this.#start(operation);
  }

  /** Whether `submit` would take an operation now; throws why not. */
  #admit(signal: AbortSignal | undefined): void {
    if (this.#closedWith !== undefined) throw this.#closedWith;
    if (signal?.aborted === true)
      throw new RheaError("CANCELLED", "cancelled before it was sent", { cause: signal.reason });
    const limit = this.#options.maxOutstanding;
    if (this.#outstanding.size >= limit) {
      throw new RheaError(
        "SERVER_BUSY",
        `${limit} operations of this client are outstanding, that is its limit (maxOutstanding): await some first`,
      );
    }
  }

  stats(): SenderStats {
    const sum = { ...this.#past };
    for (const connection of this.#connections.values()) add(sum, connection.stats);
    return { ...sum, outstanding: this.#outstanding.size, retries: this.#retries, sessions: this.sessions.count };
  }

  /** Rejects everything outstanding with SHUTTING_DOWN and closes all connections. */
  close(): void {
    if (this.#closedWith !== undefined) return;
    this.#closedWith = new RheaError("SHUTTING_DOWN", "the client was closed");
    this.#timer?.cancel();
    for (const operation of [...this.#outstanding]) {
      this.#detach(operation);
      this.#reject(operation, describeFailure(operation, "SHUTTING_DOWN", "the client was closed"));
    }
    for (const connection of this.#connections.values()) connection.close(this.#closedWith);
    this.#connections.clear();
  }

  #watch(operation: Operation, signal: AbortSignal): void {
    operation.signal = signal;
    operation.onAbort = () => {
      this.#detach(operation);
      this.#reject(operation, describeFailure(operation, "CANCELLED", "cancelled by the caller"));
    };
    signal.addEventListener("abort", operation.onAbort, { once: true });
  }

  #start(operation: Operation): void {
    operation.attemptTimeoutMs = this.#options.attemptTimeoutMs;
    this.#outstanding.add(operation);
    this.#arm();
    this.#attempt(operation);
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#closedWith !== undefined) return;
    this.#timer = this.#env.scheduler.setTimer(this.#waiting > 0 ? FAST_TICK_MS : TICK_MS, this.#onTick);
  }

  #tick(): void {
    this.#timer = undefined;
    const now = this.#env.clock.monotonicMs();
    for (const operation of this.#outstanding) {
      if (now >= operation.deadlineMs) this.#expire(operation, now);
      else if (operation.state === "waiting") {
        if (now >= operation.wakeAtMs) this.#wake(operation);
      } else if (operation.connection !== undefined && now >= operation.attemptDeadlineMs) {
        this.#giveUpAttempt(operation, operation.connection, now);
      }
    }
    if (this.#outstanding.size > 0) this.#arm();
  }

  #expire(operation: Operation, now: number): void {
    if (operation.state === "sent" && operation.isWrite) operation.maybeApplied = true;
    if (operation.state === "routing") noteFailure(operation, 0, "no answer");
    else if (operation.connection !== undefined) noteFailure(operation, operation.connection.storeId, "no answer");
    this.#detach(operation);
    const elapsed = Math.round(now - operation.startedMs);
    this.#reject(operation, describeFailure(operation, "DEADLINE_EXCEEDED", `its time ran out after ${elapsed} ms`));
  }

  #giveUpAttempt(operation: Operation, connection: StoreConnection, now: number): void {
    const wasSent = operation.state === "sent";
    const waitedMs = now - operation.attemptDeadlineMs + operation.attemptTimeoutMs;
    if (!wasSent && now - connection.lastReceivedMs < operation.attemptTimeoutMs) {
      // The store has its fill, but it answers: waiting in line here is better than asking those that do not lead.
      operation.attemptDeadlineMs = Math.min(operation.deadlineMs, now + operation.attemptTimeoutMs);
      return;
    }
    operation.avoided = connection.storeId;
    operation.avoidedUntilMs = now + AVOID_MS;
    if (wasSent && connection.lastReceivedMs <= operation.sentAtMs) {
      connection.silence(waitedMs); // comes back through onLost, for this operation and all others on it
      return;
    }
    connection.abandon(operation);
    if (wasSent && operation.isWrite) operation.maybeApplied = true;
    operation.attemptTimeoutMs = Math.min(
      operation.attemptTimeoutMs * 2,
      this.#options.attemptTimeoutMs * MAX_ATTEMPT_TIMEOUT_FACTOR,
    );
    const error = new RheaError(
      "UNAVAILABLE",
      `region ${operation.route?.regionId ?? 0}: store ${connection.storeId} at ${connection.address} did not answer within ${Math.round(waitedMs)} ms`,
    );
    this.#failed(operation, error, connection);
  }

  #wake(operation: Operation): void {
    this.#waiting--;
    operation.state = "idle";
    this.#attempt(operation);
  }

  /** Takes the operation off whatever it waits for. */
  #detach(operation: Operation): void {
    if (operation.state === "waiting") this.#waiting--;
    operation.connection?.abandon(operation);
  }

  #attempt(operation: Operation): void {
    const route = this.#router.get(operation.routeKey);
    if (route === undefined) {
      this.#lookUp(operation);
      return;
    }
    if (route !== operation.route) {
      operation.route = route;
      operation.tried = undefined;
    }
    if (operation.span !== undefined && !operation.span.fits(route)) {
      this.#handBack(operation, operation.span);
      return;
    }
    if (operation.command === undefined && operation.seal !== undefined && !this.#seal(operation, operation.seal))
      return;
    const connection = this.#choose(operation, route);
    if (connection === undefined) {
      if (!operation.sawPeer) this.#router.evict(route); // nobody has it: ask where it is
      this.#backOff(operation, MAX_BACKOFF_MS, 0);
      return;
    }
    if (operation.attempts++ > 0) this.#retries++;
    const now = this.#env.clock.monotonicMs();
    operation.attemptDeadlineMs = Math.min(operation.deadlineMs, now + operation.attemptTimeoutMs);
    connection.enqueue(operation);
  }

  #seal(operation: Operation, seal: (operation: Operation) => void): boolean {
    try {
      seal(operation);
      return true;
    } catch (error) {
      this.#reject(operation, RheaError.from(error));
      return false;
    }
  }

  #lookUp(operation: Operation): void {
    operation.state = "routing";
    operation.route = undefined;
    this.#router.lookup(operation.routeKey).then(
      () => {
        if (operation.state === "routing") this.#attempt(operation);
      },
      (error: unknown) => {
        if (operation.state !== "routing") return;
        const failure = RheaError.from(error);
        operation.lastError = failure;
        noteFailure(operation, 0, failure.code);
        if (isFinalForLookup(failure)) this.#reject(operation, failure);
        else this.#backOff(operation, MAX_BACKOFF_MS, 0);
      },
    );
  }

  #handBack(operation: Operation, span: NonNullable<Operation["span"]>): void {
    this.#outstanding.delete(operation);
    this.#unwatch(operation);
    operation.state = "idle";
    span.divide(operation);
  }

  /**
   * Picks the store for an attempt: a fresh hint; the known leader; any voter that has not failed in this round; what is left. A store that
   * hangs costs a whole attempt, so it is asked only when nobody else could be.
   */
  #choose(operation: Operation, route: Route): StoreConnection | undefined {
    const now = this.#env.clock.monotonicMs();
    const { tried, hint } = operation;
    operation.hint = 0;
    const hinted = hint === 0 ? undefined : this.#usable(operation, hint);
    if (hinted !== undefined && !isHanging(operation, hinted, now)) return hinted;
    const leader = operation.isStale ? undefined : this.#router.leaderOf(route.regionId);
    const leading = leader === undefined ? undefined : this.#usable(operation, leader);
    if (leading !== undefined && now >= leading.suspectUntilMs && !isHanging(operation, leading, now)) return leading;
    const count = route.replicas.length;
    const first = operation.isStale ? this.#turn++ : operation.attempts + operation.backoffs;
    let spare: StoreConnection | undefined;
    for (let i = 0; i < count; i++) {
      const replica = route.replicas[(first + i) % count];
      const connection = replica === undefined ? undefined : this.#usable(operation, replica.storeId);
      if (replica === undefined || connection === undefined) continue;
      if (isHanging(operation, connection, now)) {
        if (tried === undefined) spare ??= connection;
      } else if (now >= connection.suspectUntilMs && (!replica.isLearner || operation.isStale)) {
        return connection;
      } else if (spare === undefined || isHanging(operation, spare, now)) {
        spare = connection;
      }
    }
    return spare;
  }

  /** The connection to a store that has not failed this operation in this round. */
  #usable(operation: Operation, storeId: number): StoreConnection | undefined {
    return operation.tried?.includes(storeId) === true ? undefined : this.#connectionTo(storeId);
  }

  #connectionTo(storeId: number): StoreConnection | undefined {
    const known = this.#connections.get(storeId);
    const address = this.#router.addressOf(storeId);
    if (known !== undefined && (address === undefined || known.address === address)) return known;
    if (address === undefined) return undefined;
    if (known !== undefined) {
      this.#connections.delete(storeId);
      add(this.#past, known.stats);
      known.close(new RheaError("UNAVAILABLE", `store ${storeId} moved from ${known.address} to ${address}`));
    }
    const { net, clock, scheduler } = this.#env;
    const { clusterId, maxMessageBytes, maxInflightPerStore, isBatching } = this.#options;
    const connection = new StoreConnection({
      ...{ storeId, address, net, clock, scheduler, clusterId, maxMessageBytes, isBatching },
      maxInflight: maxInflightPerStore,
      clientId: this.sessions.current().clientId,
      onResult: this.#onResult,
      onLost: this.#onLost,
    });
    this.#connections.set(storeId, connection);
    return connection;
  }

  #answer(operation: Operation, result: KvResult, connection: StoreConnection): void {
    if (result.error !== null) {
      this.#refused(operation, errorFromWire(result.error), connection);
      return;
    }
    if (operation.isWrite && operation.route !== undefined) {
      const { regionId } = operation.route;
      if (this.#router.leaderOf(regionId) !== connection.storeId) this.#router.setLeader(regionId, connection.storeId);
    }
    let value: unknown;
    try {
      value = operation.decode(result, operation);
    } catch (thrown) {
      // The outcome at apply travels inside the result; an error there is judged like any other.
      this.#refused(operation, RheaError.from(thrown), connection);
      return;
    }
    this.#settle(operation);
    operation.resolve(value as never);
  }

  #refused(operation: Operation, error: RheaError, connection: StoreConnection): void {
    if (operation.isWrite && (error.details.maybeApplied === true || leavesDoubt(error.code)))
      operation.maybeApplied = true;
    this.#failed(operation, error, connection);
  }

  /** An attempt failed: the operation is off its connection. */
  #failed(operation: Operation, error: RheaError, from: StoreConnection): void {
    operation.lastError = error;
    noteFailure(operation, from.storeId, error.code);
    const { route } = operation;
    const verdict = judge(error.code);
    if (verdict === "final" || route === undefined) {
      this.#reject(operation, withDoubt(error, operation));
      return;
    }
    switch (verdict) {
      case "not-leader":
        this.#notLeader(operation, route, error, from);
        return;
      case "moved":
        this.#moved(operation, route, error, from);
        return;
      case "busy":
        this.#backOff(operation, MAX_BUSY_BACKOFF_MS, error.details.retryAfterMs ?? 0);
        return;
      case "again":
        this.#backOff(operation, MAX_BACKOFF_MS, 0);
        return;
      case "absent":
      case "unreachable":
        this.#router.clearLeader(route.regionId, from.storeId);
        this.#elsewhere(operation, from);
    }
  }

  #notLeader(operation: Operation, route: Route, error: RheaError, from: StoreConnection): void {
    operation.sawPeer = true;
    this.#router.clearLeader(route.regionId, from.storeId);
    const { leader } = error.details;
    if (leader !== undefined && leader.storeId !== 0 && leader.storeId !== from.storeId) {
      this.#router.learnLeader(route.regionId, leader);
      operation.hint = leader.storeId;
      if (!route.replicas.some((replica) => replica.storeId === leader.storeId)) this.#router.evict(route);
    }
    this.#elsewhere(operation, from);
  }

  #moved(operation: Operation, route: Route, error: RheaError, from: StoreConnection): void {
    const regions = error.details.currentRegions ?? [];
    for (const region of regions) this.#router.learnRegion(toRoute(region), from.storeId);
    if (this.#router.get(operation.routeKey) === route) {
      // Nothing newer: with regions the store lags behind what we know, without it does not say; then PD is asked.
      if (regions.length === 0) this.#router.evict(route);
      this.#elsewhere(operation, from);
      return;
    }
    this.#again(operation);
  }

  /** Tries another replica at once; backs off when all have failed. */
  #elsewhere(operation: Operation, from: StoreConnection): void {
    (operation.tried ??= []).push(from.storeId);
    this.#again(operation);
  }

  #again(operation: Operation): void {
    if (this.#closedWith !== undefined) {
      this.#reject(operation, describeFailure(operation, "SHUTTING_DOWN", "the client was closed"));
      return;
    }
    operation.state = "idle";
    if (++operation.hops > MAX_HOPS) this.#backOff(operation, MAX_BACKOFF_MS, 0);
    else this.#attempt(operation);
  }

  #backOff(operation: Operation, maxMs: number, minMs: number): void {
    const base = Math.min(MIN_BACKOFF_MS * 2 ** Math.min(operation.backoffs, 16), maxMs);
    const jittered = base / 2 + this.#env.rng.int(Math.ceil(base / 2) + 1);
    operation.backoffs++;
    operation.hops = 0;
    operation.tried = undefined;
    operation.sawPeer = false;
    operation.state = "waiting";
    operation.wakeAtMs = this.#env.clock.monotonicMs() + Math.max(jittered, minMs);
    this.#waiting++;
    this.#arm();
  }

  #unwatch(operation: Operation): void {
    if (operation.onAbort === undefined) return;
    operation.signal?.removeEventListener("abort", operation.onAbort);
    operation.onAbort = undefined;
  }

  #settle(operation: Operation): void {
    this.#outstanding.delete(operation);
    operation.state = "done";
    if (operation.onAbort !== undefined) this.#unwatch(operation);
    const { identity } = operation;
    if (identity !== undefined) identity.session.end(identity.seq);
  }

  #reject(operation: Operation, error: RheaError): void {
    this.#settle(operation);
    operation.reject(error);
  }
}

function isHanging(operation: Operation, connection: StoreConnection, now: number): boolean {
  if (now < connection.silentUntilMs) return true;
  return operation.avoided === connection.storeId && now < operation.avoidedUntilMs;
}

/** Errors of a lookup that no repetition mends. */
function isFinalForLookup(error: RheaError): boolean {
  return !error.retryable && error.code !== "DEADLINE_EXCEEDED" && error.code !== "CANCELLED";
}

/** A final error says whether an earlier attempt may have been applied. */
function withDoubt(error: RheaError, operation: Operation): RheaError {
  if (!operation.maybeApplied || error.details.maybeApplied === true) return error;
  return new RheaError(error.code, `${error.message}; an earlier attempt may have been applied`, {
    details: { ...error.details, maybeApplied: true },
    cause: error,
  });
}

function add(sum: ConnectionStats, more: Readonly<ConnectionStats>): void {
  sum.messages += more.messages;
  sum.operations += more.operations;
  sum.streams += more.streams;
}
