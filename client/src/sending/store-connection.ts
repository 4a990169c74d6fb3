/**
 * One store as the sender sees it: a channel, one bidirectional stream, a queue. All operations that join the queue in one turn of the
 * event loop leave in one message, grouped by region. It knows nothing of retries: whatever goes wrong is handed to the sender.
 */
import {
  RheaError,
  type Clock,
  type Net,
  type RpcChannel,
  type RpcStream,
  type Scheduler,
  errorFromWire,
} from "@rhea/common";
import {
  KvMethods,
  type KvOperationInit,
  type KvRequestsInit,
  type KvResponses,
  type KvResult,
  type RegionOperationsInit,
} from "@rhea/proto";
import type { Route } from "../routing/route.js";
import type { Operation } from "./operation.js";

/** The protocol that this client speaks on the stream. */
const PROTOCOL_VERSION = 1;
/** Pause after a broken connection before the store is preferred again; doubles up to the maximum. */
const MIN_PAUSE_MS = 50;
const MAX_PAUSE_MS = 2_000;
/** Pause after silence: longer than an election in which the others replace a leader that hangs or is cut off. */
const SILENT_PAUSE_MS = 2_000;

/** Codes with which a store ends a stream that hold for everything on it. */
const STREAM_CODES: ReadonlySet<string> = new Set([
  "CLUSTER_MISMATCH",
  "VERSION_UNSUPPORTED",
  "SHUTTING_DOWN",
  "UNAVAILABLE",
]);

/** What a connection needs and whom it tells. */
export interface ConnectionOptions {
  readonly storeId: number;
  readonly address: string;
  readonly net: Net;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly clusterId: number;
  readonly clientId: Uint8Array;
  readonly maxMessageBytes: number;
  readonly maxInflight: number;
  readonly isBatching: boolean;
  /** An answer came. The operation is off the connection's books. */
  onResult(operation: Operation, result: KvResult, connection: StoreConnection): void;
  /** An attempt ended without an answer; `wasSent` says whether it may have been applied. */
  onLost(operation: Operation, error: RheaError, wasSent: boolean, connection: StoreConnection): void;
}

/** Counters of one connection. */
export interface ConnectionStats {
  messages: number;
  operations: number;
  streams: number;
}

/** A region's part of a message under construction. */
interface Group {
  readonly route: Route;
  readonly message: RegionOperationsInit & { timeoutMs: number; readonly operations: KvOperationInit[] };
}

/** See the file's header. */
export class StoreConnection {
  readonly storeId: number;
  readonly address: string;
  readonly stats: ConnectionStats = { messages: 0, operations: 0, streams: 0 };
  /** Monotonic ms of the last message from the store. */
  lastReceivedMs = 0;
  /** Until then other stores are preferred: it refused or broke a connection. */
  suspectUntilMs = 0;
  /** Until then not even another store's hint leads here: it did not answer at all, and trying again costs a whole attempt. */
  silentUntilMs = 0;

  readonly #options: ConnectionOptions;
  #channel: RpcChannel | undefined;
  #stream: RpcStream<KvResponses, KvRequestsInit> | undefined;
  #queue: Operation[] = [];
  /** The request id under which each queued operation joined: an operation that left meanwhile has another one. */
  #queuedIds: number[] = [];
  readonly #inflight = new Map<number, Operation>();
  #nextId = 1;
  #isScheduled = false;
  #isFull = false;
  #pauseMs = MIN_PAUSE_MS;
  #isClosed = false;
  readonly #flush = (): void => this.#sendQueued();

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.storeId = options.storeId;
    this.address = options.address;
  }

  /** Queues one attempt; it leaves at the end of the turn. */
  enqueue(operation: Operation): void {
    operation.connection = this;
    operation.requestId = this.#nextId++;
    operation.state = "queued";
    this.#queue.push(operation);
    this.#queuedIds.push(operation.requestId);
    if (this.#options.isBatching) this.#schedule();
    else this.#sendQueued();
  }

  /** Forgets an attempt: its answer, if one still comes, is ignored. */
  abandon(operation: Operation): void {
    if (operation.connection !== this) return;
    if (operation.state === "sent") {
      this.#inflight.delete(operation.requestId);
      if (this.#queue.length > 0) this.#schedule();
    }
    operation.connection = undefined;
    operation.requestId = 0;
  }

  /**
   * Gives up a stream that has not said a word for a whole attempt: all that is on it fails over together. A new stream is opened at once: if
   * only a region hangs there, the store's hello clears it of the suspicion; if the store hangs, nothing comes.
   */
  silence(waitedMs: number): void {
    this.suspectUntilMs = this.silentUntilMs = this.#options.clock.monotonicMs() + SILENT_PAUSE_MS;
    this.reset(
      new RheaError("UNAVAILABLE", `store ${this.storeId} at ${this.address}: silent for ${Math.round(waitedMs)} ms`),
    );
    this.#probe();
  }

  #probe(): void {
    if (this.#stream === undefined && !this.#isClosed) this.#open();
  }

  #suspect(): void {
    this.suspectUntilMs = this.#options.clock.monotonicMs() + this.#pauseMs;
    this.#pauseMs = Math.min(this.#pauseMs * 2, MAX_PAUSE_MS);
  }

  /** Drops stream and channel; whatever is on them is lost with `error`. The next operation connects anew. */
  reset(error: RheaError): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#isFull = false;
    stream?.close(error);
    this.#channel?.close();
    this.#channel = undefined;
    const lost = [...this.#inflight.values()];
    this.#inflight.clear();
    const queued = this.#takeQueue();
    for (const operation of lost) this.#lose(operation, error, true);
    for (const operation of queued) this.#lose(operation, error, false);
  }

  /** Ends the connection for good. */
  close(error: RheaError): void {
    this.#isClosed = true;
    this.reset(error);
  }

  #lose(operation: Operation, error: RheaError, wasSent: boolean): void {
    operation.connection = undefined;
    operation.requestId = 0;
    this.#options.onLost(operation, error, wasSent, this);
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isFull) return;
    this.#isScheduled = true;
    this.#options.scheduler.nextTurn(this.#flush);
  }

  #takeQueue(): Operation[] {
    const ids = this.#queuedIds;
    const queued = this.#queue.filter(
      (operation, i) => operation.connection === this && operation.requestId === ids[i],
    );
    this.#queue = [];
    this.#queuedIds = [];
    return queued;
  }

  #sendQueued(): void {
    this.#isScheduled = false;
    if (this.#isClosed || this.#isFull || this.#queue.length === 0) return;
    const stream = this.#stream ?? this.#open();
    const { maxMessageBytes, maxInflight, clock } = this.#options;
    const now = clock.monotonicMs();
    const queue = this.#queue;
    const ids = this.#queuedIds;
    let groups: Group[] = [];
    let byRoute = new Map<Route, Group>();
    let group: Group | undefined;
    let bytes = 0;
    let count = 0;
    let next = 0;
    for (; next < queue.length; next++) {
      const operation = queue[next];
      const route = operation?.route;
      if (operation === undefined || route === undefined) continue;
      if (operation.connection !== this || operation.requestId !== ids[next]) continue;
      if (this.#inflight.size >= maxInflight) break;
      const size = operation.bytes;
      if (bytes > 0 && bytes + size > maxMessageBytes) {
        const hasRoom = this.#send(stream, groups, count);
        groups = [];
        byRoute = new Map();
        group = undefined;
        bytes = 0;
        count = 0;
        if (!hasRoom) break;
      }
      if (group?.route !== route) {
        group = byRoute.get(route);
        if (group === undefined) {
          group = newGroup(route);
          byRoute.set(route, group);
          groups.push(group);
        }
      }
      // Time in the queue does not count: an attempt begins when it leaves.
      operation.attemptDeadlineMs = Math.min(operation.deadlineMs, now + operation.attemptTimeoutMs);
      const timeoutMs = Math.max(1, Math.ceil(operation.attemptDeadlineMs - now));
      if (timeoutMs > group.message.timeoutMs) group.message.timeoutMs = timeoutMs;
      group.message.operations.push(requestOf(operation, route));
      operation.state = "sent";
      operation.sentAtMs = now;
      this.#inflight.set(operation.requestId, operation);
      bytes += size;
      count++;
    }
    if (next === queue.length) {
      this.#queue = [];
      this.#queuedIds = [];
    } else {
      queue.splice(0, next);
      ids.splice(0, next);
    }
    if (count > 0) this.#send(stream, groups, count);
  }

  #send(stream: RpcStream<KvResponses, KvRequestsInit>, groups: readonly Group[], count: number): boolean {
    this.stats.messages++;
    this.stats.operations += count;
    this.#isFull = !stream.send({ regions: groups.map((group) => group.message) });
    return !this.#isFull;
  }

  #open(): RpcStream<KvResponses, KvRequestsInit> {
    this.#channel ??= this.#options.net.connect(this.address);
    const stream: RpcStream<KvResponses, KvRequestsInit> = this.#channel.stream(KvMethods.Operations);
    this.#stream = stream;
    this.stats.streams++;
    stream.listen({
      onMessage: (message) => {
        if (this.#stream === stream) this.#receive(message);
      },
      onClose: (error) => {
        if (this.#stream !== stream) return;
        this.#suspect();
        this.reset(this.#broken(error));
      },
      onDrain: () => {
        if (this.#stream !== stream) return;
        this.#isFull = false;
        if (this.#queue.length > 0) this.#schedule();
      },
    });
    const { clusterId, clientId } = this.#options;
    stream.send({ hello: { protocolVersion: PROTOCOL_VERSION, clusterId, clientId } });
    return stream;
  }

  #receive(message: KvResponses): void {
    this.lastReceivedMs = this.#options.clock.monotonicMs();
    const { hello } = message;
    if (hello !== null && !this.#accept(hello)) return;
    for (const result of message.results) {
      const operation = this.#inflight.get(result.id);
      if (operation === undefined) continue; // abandoned
      this.#inflight.delete(result.id);
      operation.connection = undefined;
      this.#options.onResult(operation, result, this);
    }
    if (this.#queue.length > 0) this.#schedule();
  }

  #accept(hello: NonNullable<KvResponses["hello"]>): boolean {
    if (hello.error !== null) {
      this.#suspect();
      this.reset(errorFromWire(hello.error));
      return false;
    }
    if (hello.storeId !== this.storeId) {
      this.#suspect();
      this.reset(
        new RheaError(
          "UNAVAILABLE",
          `store ${this.storeId} at ${this.address}: store ${hello.storeId} answers there, the address is out of date`,
        ),
      );
      return false;
    }
    this.#pauseMs = MIN_PAUSE_MS;
    this.suspectUntilMs = 0;
    this.silentUntilMs = 0;
    return true;
  }

  #broken(error: Error | undefined): RheaError {
    const where = `store ${this.storeId} at ${this.address}`;
    if (error === undefined) return new RheaError("UNAVAILABLE", `${where}: it closed the stream`);
    if (error instanceof RheaError && STREAM_CODES.has(error.code)) return error;
    // Any other code is about one message or about the stream; for what was on it, it is merely a broken connection.
    return new RheaError("UNAVAILABLE", `${where}: the connection broke: ${error.message}`, { cause: error });
  }
}

function newGroup(route: Route): Group {
  return {
    route,
    message: { regionId: route.regionId, confVer: route.confVer, version: route.version, timeoutMs: 1, operations: [] },
  };
}

function requestOf(operation: Operation, route: Route): KvOperationInit {
  if (operation.command !== undefined) return { id: operation.requestId, command: operation.command };
  return { id: operation.requestId, read: operation.read ?? operation.readFor?.(operation, route) };
}
