/** One request to one region, from the call until its answer, over all its attempts. */
import type { RheaError } from "@rhea/common";
import type { KvResult, ReadInit } from "@rhea/proto";
import type { Route } from "../routing/route.js";
import type { Session } from "./session.js";
import type { StoreConnection } from "./store-connection.js";

/**
 * Where an operation is:
 * - `idle`: made, not submitted; or handed back to the call that made it, which divides it.
 * - `routing`: waits for a route lookup.
 * - `queued`: in a connection's queue, not handed to the stream: certainly not applied by this attempt.
 * - `sent`: on a stream; until an answer comes this attempt may have been applied.
 * - `waiting`: backs off until `wakeAtMs`.
 * - `done`: settled.
 */
export type OperationState = "idle" | "routing" | "queued" | "sent" | "waiting" | "done";

/** How an operation on several keys or a range keeps to one region. */
export interface Span {
  /** Whether everything that the operation touches lies in the route's range. */
  fits(route: Route): boolean;
  /**
   * Takes the operation over because it does not fit (any more): whoever made it makes others out of it, or rejects it. It is off the
   * sender's books except for its seq, which the taker ends.
   */
  divide(operation: Operation): void;
}

/** What identifies a write for exactly-once. */
export interface WriteIdentity {
  readonly session: Session;
  readonly seq: number;
  /** Wall clock, Unix ms, of the first attempt: a renewed one could outlive what the stores remember. */
  readonly issuedAt: number;
}

/** What an operation is made of. */
export interface OperationInit {
  /** The call's name, for messages. */
  readonly name: string;
  /** Latin-1 key by which the operation is routed. */
  readonly routeKey: string;
  /** For writes: fills in `command` and `identity` before the first attempt that fits a region. Throwing rejects the call. */
  readonly seal?: ((operation: Operation) => void) | undefined;
  /** The read, where it does not depend on the region. */
  readonly read?: ReadInit | undefined;
  /** Makes the read for a region (a scan page ends where its region ends). */
  readonly readFor?: ((operation: Operation, route: Route) => ReadInit) | undefined;
  readonly span?: Span | undefined;
  /** May be answered by any replica, also a stale one. */
  readonly isStale?: boolean;
  /** A call's state that {@link decode} needs. */
  readonly context?: unknown;
  /** Turns the answer into the call's result. Throwing rejects the call. */
  readonly decode: (result: KvResult, operation: Operation) => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (error: RheaError) => void;
}

/** One request. The fields below the first group belong to the sender and to the connection. */
export class Operation {
  readonly name: string;
  readonly routeKey: string;
  readonly seal: ((operation: Operation) => void) | undefined;
  readonly read: ReadInit | undefined;
  readonly readFor: ((operation: Operation, route: Route) => ReadInit) | undefined;
  readonly span: Span | undefined;
  readonly isStale: boolean;
  readonly context: unknown;
  readonly decode: (result: KvResult, operation: Operation) => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (error: RheaError) => void;

  state: OperationState = "idle";
  /** An encoded Command, encoded once: all attempts send the same bytes. */
  command: Uint8Array | undefined = undefined;
  identity: WriteIdentity | undefined = undefined;
  /** Monotonic ms at which the call's time ends. */
  deadlineMs = 0;
  startedMs = 0;
  timeoutMs = 0;
  signal: AbortSignal | undefined = undefined;
  onAbort: (() => void) | undefined = undefined;

  /** The route of the present attempt. */
  route: Route | undefined = undefined;
  connection: StoreConnection | undefined = undefined;
  /** Names the attempt on its connection. */
  requestId = 0;
  attempts = 0;
  /** When the present attempt is given up, and how long it may take; grows, so that an overloaded store is not asked ever more. */
  attemptDeadlineMs = 0;
  attemptTimeoutMs = 0;
  sentAtMs = 0;
  wakeAtMs = 0;
  /** Consecutive back-offs. */
  backoffs = 0;
  /** Immediate repetitions since the last back-off. */
  hops = 0;
  /** Stores that failed since the last back-off or change of route. */
  tried: number[] | undefined = undefined;
  /** Whether one of them at least has the region: it only does not lead it. */
  sawPeer = false;
  /** The store that another one named as the leader. */
  hint = 0;
  /** A store that let an attempt run out of time, and until when (monotonic ms) not even a hint leads back to it. */
  avoided = 0;
  avoidedUntilMs = 0;
  /** True once an attempt ended without a certain answer. Never false again: such an attempt may still sit in some queue. */
  maybeApplied = false;
  lastError: RheaError | undefined = undefined;
  /** What failed how often, for the timeout's message; at most a handful of kinds. */
  trail: Map<string, number> | undefined = undefined;

  constructor(init: OperationInit) {
    this.name = init.name;
    this.routeKey = init.routeKey;
    this.seal = init.seal;
    this.read = init.read;
    this.readFor = init.readFor;
    this.span = init.span;
    this.isStale = init.isStale ?? false;
    this.context = init.context;
    this.decode = init.decode;
    this.resolve = init.resolve;
    this.reject = init.reject;
  }

  get isWrite(): boolean {
    return this.seal !== undefined;
  }

  /** Bytes of the request, roughly. */
  get bytes(): number {
    if (this.command !== undefined) return this.command.length + 16;
    const keys = this.read?.keys;
    if (keys === undefined) return 64 + this.routeKey.length;
    let sum = 16;
    for (const key of keys) sum += key.length + 4;
    return sum;
  }
}
