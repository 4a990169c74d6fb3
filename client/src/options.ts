/** The options of a client: what callers may leave out, and what is in force. */
import { RheaError } from "@rhea/common";

/** How to reach a cluster and how to behave. Of `pd` and `stores` at least one names an address. */
export interface ConnectOptions {
  /** `host:port` of PD members. */
  readonly pd?: readonly string[];
  /** `host:port` of some stores: asked for routes when no PD is given or none answers. */
  readonly stores?: readonly string[];
  /** Default 1. Stores and PD of another cluster refuse the client with CLUSTER_MISMATCH. */
  readonly clusterId?: number;
  /** Default time for a call, over all retries; default 10,000 ms. */
  readonly timeoutMs?: number;
  /** Time after which an attempt is given up and another replica asked; default 1,000 ms. Grows up to fourfold for a call that needs it. */
  readonly attemptTimeoutMs?: number;
  /** Whether the operations of one event-loop turn leave in one message per store; default true. */
  readonly batching?: boolean;
  /** Bytes of operations per message; default 4 MiB, at most 8 MiB. One operation may be larger. */
  readonly maxMessageBytes?: number;
  /** Operations on the wire per store; further ones wait. Default 8,192. */
  readonly maxInflightPerStore?: number;
  /** Operations of this client without an answer; over it calls are refused with SERVER_BUSY. Default 65,536. */
  readonly maxOutstanding?: number;
}

/** Options with every default filled in. */
export interface ClientOptions {
  readonly pd: readonly string[];
  readonly stores: readonly string[];
  readonly clusterId: number;
  readonly timeoutMs: number;
  readonly attemptTimeoutMs: number;
  readonly isBatching: boolean;
  readonly maxMessageBytes: number;
  readonly maxInflightPerStore: number;
  readonly maxOutstanding: number;
}

/** Options of one call. */
export interface CallOptions {
  /** Time for the call over all retries, in ms; default: the client's. */
  readonly timeoutMs?: number | undefined;
  /** Gives the call up with CANCELLED. A write may have been applied all the same. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of a read. */
export interface ReadOptions extends CallOptions {
  /** Default true: linearizable. False: any live replica answers at once, also without a quorum, with no bound on age. */
  readonly readOnlySafe?: boolean | undefined;
}

function whole(value: number | undefined, name: string, fallback: number, min: number, max: number): number {
  if (value === undefined) return fallback;
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new RheaError("INVALID_ARGUMENT", `option ${name}: ${value} given, a whole number in ${min}..${max} is needed`);
}

function addresses(list: readonly string[] | undefined, name: string): readonly string[] {
  for (const address of list ?? []) {
    if (!/^[^\s:]+:\d{1,5}$|^\[[^\]\s]+\]:\d{1,5}$/.test(address)) {
      throw new RheaError("INVALID_ARGUMENT", `option ${name}: ${JSON.stringify(address)} given, host:port is needed`);
    }
  }
  return [...(list ?? [])];
}

/** Checks options and fills in the defaults. Throws INVALID_ARGUMENT. */
export function resolveOptions(options: ConnectOptions): ClientOptions {
  const pd = addresses(options.pd, "pd");
  const stores = addresses(options.stores, "stores");
  if (pd.length + stores.length === 0) {
    throw new RheaError("INVALID_ARGUMENT", "options pd and stores: both are empty, an address of either is needed");
  }
  return Object.freeze({
    pd,
    stores,
    clusterId: whole(options.clusterId, "clusterId", 1, 1, Number.MAX_SAFE_INTEGER),
    timeoutMs: whole(options.timeoutMs, "timeoutMs", 10_000, 1, 86_400_000),
    attemptTimeoutMs: whole(options.attemptTimeoutMs, "attemptTimeoutMs", 1_000, 10, 60_000),
    isBatching: options.batching ?? true,
    maxMessageBytes: whole(options.maxMessageBytes, "maxMessageBytes", 4 * 1024 * 1024, 1024, 8 * 1024 * 1024),
    maxInflightPerStore: whole(options.maxInflightPerStore, "maxInflightPerStore", 8_192, 1, 65_536),
    maxOutstanding: whole(options.maxOutstanding, "maxOutstanding", 65_536, 1, 1_048_576),
  });
}

/** The time for a call. Throws INVALID_ARGUMENT. */
export function timeoutOf(options: CallOptions | undefined, fallback: number): number {
  const timeoutMs = options?.timeoutMs;
  if (timeoutMs === undefined) return fallback;
  if (timeoutMs > 0 && timeoutMs <= 86_400_000) return timeoutMs;
  throw new RheaError(
    "INVALID_ARGUMENT",
    `option timeoutMs: ${timeoutMs} given, more than 0 and at most 86,400,000 is needed`,
  );
}
