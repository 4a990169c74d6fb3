/** The one error class of Rhea and the one table of its codes. */

/** Where a code goes: gRPC status, CLI exit code, and whether repeating the same request later can succeed. */
export interface ErrorCodeRow {
  /** gRPC status number. */
  readonly grpc: number;
  /** Exit code of `rheactl` and of the processes. */
  readonly exit: number;
  readonly retryable: boolean;
  /** One line for the docs: when it is thrown. */
  readonly when: string;
}

/** Every error code. Adding one: a row here, and it is known to wire, CLI and docs. */
export const ERROR_CODES = {
  INVALID_ARGUMENT: { grpc: 3, exit: 2, retryable: false, when: "a request or option is malformed or out of range" },
  INVALID_CONFIG: { grpc: 3, exit: 2, retryable: false, when: "a configuration file, flag or variable is wrong" },
  KEY_TOO_LARGE: { grpc: 3, exit: 2, retryable: false, when: "a key is empty or over 4096 bytes" },
  VALUE_TOO_LARGE: { grpc: 3, exit: 2, retryable: false, when: "a value is over 6 MiB" },
  BATCH_TOO_LARGE: { grpc: 3, exit: 2, retryable: false, when: "one atomic request is over the message limit" },
  NOT_LEADER: {
    grpc: 9,
    exit: 4,
    retryable: true,
    when: "the peer asked does not lead the region; carries a hint where known",
  },
  LEADER_NOT_AVAILABLE: { grpc: 14, exit: 4, retryable: true, when: "the region has no leader at the moment" },
  REGION_NOT_FOUND: { grpc: 5, exit: 4, retryable: true, when: "the store has no such region" },
  EPOCH_NOT_MATCH: {
    grpc: 9,
    exit: 4,
    retryable: true,
    when: "the region was split or changed members; carries the current regions",
  },
  KEY_NOT_IN_REGION: { grpc: 11, exit: 4, retryable: true, when: "the key lies outside the region addressed" },
  SERVER_BUSY: { grpc: 8, exit: 4, retryable: true, when: "a bounded queue is full; carries retryAfterMs" },
  PROPOSAL_DROPPED: { grpc: 14, exit: 4, retryable: true, when: "raft dropped the proposal before it entered the log" },
  STALE_COMMAND: {
    grpc: 10,
    exit: 4,
    retryable: true,
    when: "leadership changed and the entry was certainly not committed at its index",
  },
  DISK_FULL: {
    grpc: 8,
    exit: 5,
    retryable: true,
    when: "free space is below the reserve; reads and deletes still work",
  },
  SESSION_EXPIRED: {
    grpc: 9,
    exit: 1,
    retryable: false,
    when: "the client's session is older than the store remembers; the write's outcome is unknown",
  },
  CORRUPTION: { grpc: 15, exit: 6, retryable: false, when: "a checksum or a structural check of stored data failed" },
  DISK_LOST: { grpc: 9, exit: 7, retryable: false, when: "a known store or member came back without its identity" },
  STALE_IDENTITY: {
    grpc: 9,
    exit: 7,
    retryable: false,
    when: "an older incarnation, or another boot of the same one, shows up",
  },
  DISK_FAILED: { grpc: 13, exit: 8, retryable: false, when: "a write, fsync or batch failed; the process stops" },
  CLUSTER_MISMATCH: { grpc: 9, exit: 2, retryable: false, when: "two processes of different clusters met" },
  VERSION_UNSUPPORTED: {
    grpc: 9,
    exit: 2,
    retryable: false,
    when: "a format, command or protocol version is unknown here",
  },
  CONF_CHANGE_BUSY: {
    grpc: 9,
    exit: 4,
    retryable: true,
    when: "another membership change of this group is in progress",
  },
  OPERATION_REFUSED: {
    grpc: 9,
    exit: 1,
    retryable: false,
    when: "an administrative request would be unsafe or makes no sense now; the message has the arithmetic",
  },
  NOT_FOUND: { grpc: 5, exit: 1, retryable: false, when: "the named store, region, peer or operation does not exist" },
  ALREADY_EXISTS: { grpc: 6, exit: 1, retryable: false, when: "the thing to be created exists with other contents" },
  NOT_BOOTSTRAPPED: { grpc: 9, exit: 4, retryable: true, when: "the cluster has no first region yet" },
  PD_NOT_LEADER: {
    grpc: 9,
    exit: 4,
    retryable: true,
    when: "the PD member asked is not the leader; carries a hint where known",
  },
  TRANSFER_FAILED: { grpc: 10, exit: 4, retryable: true, when: "leadership did not move in time" },
  LOCKED: { grpc: 9, exit: 3, retryable: false, when: "another process holds the data directory" },
  UNAVAILABLE: { grpc: 14, exit: 4, retryable: true, when: "a connection could not be made or broke" },
  DEADLINE_EXCEEDED: {
    grpc: 4,
    exit: 4,
    retryable: false,
    when: "the call's time budget ran out; details say whether a write may have happened",
  },
  CANCELLED: { grpc: 1, exit: 130, retryable: false, when: "the caller gave up" },
  SHUTTING_DOWN: { grpc: 14, exit: 4, retryable: true, when: "the process or component is closing" },
  KUBE_NOT_FOUND: { grpc: 5, exit: 1, retryable: false, when: "a Kubernetes object does not exist" },
  KUBE_CONFLICT: {
    grpc: 10,
    exit: 4,
    retryable: true,
    when: "a Kubernetes object changed since it was read, or another manager owns the field",
  },
  KUBE_FORBIDDEN: {
    grpc: 7,
    exit: 1,
    retryable: false,
    when: "the Kubernetes API server refused the credentials, or they lack a permission",
  },
  KUBE_INVALID: {
    grpc: 3,
    exit: 2,
    retryable: false,
    when: "the Kubernetes API server refused an object or a request, for example a change of an immutable field",
  },
  KUBE_API: {
    grpc: 14,
    exit: 4,
    retryable: true,
    when: "the Kubernetes API server failed, or its answer makes no sense",
  },
  INTERNAL: { grpc: 13, exit: 70, retryable: false, when: "a bug: an invariant does not hold" },
} as const satisfies Record<string, ErrorCodeRow>;

/** A stable error code. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** A region as error details carry it. Keys are raw bytes; an empty end key is the end of the keyspace. */
export interface RegionDetail {
  readonly regionId: number;
  readonly startKey: Uint8Array;
  readonly endKey: Uint8Array;
  readonly epoch: { readonly confVer: number; readonly version: number };
  readonly peers: readonly { readonly peerId: number; readonly storeId: number; readonly role: 0 | 1 | 2 | 3 }[];
}

/** Typed extras of an error; all optional. */
export interface ErrorDetails {
  readonly regionId?: number;
  /** The regions that cover the request's range now, for EPOCH_NOT_MATCH and KEY_NOT_IN_REGION. */
  readonly currentRegions?: readonly RegionDetail[];
  /** Where the leader is believed to be, for NOT_LEADER. */
  readonly leader?: { readonly peerId: number; readonly storeId: number; readonly address?: string };
  /** Milliseconds after which a repetition makes sense, for SERVER_BUSY. */
  readonly retryAfterMs?: number;
  /** Whether a write that ended with this error may have been applied. */
  readonly maybeApplied?: boolean;
  /** File and byte offset, for CORRUPTION. */
  readonly file?: string;
  readonly offset?: number;
  /** Position in a configuration file, 1-based. */
  readonly line?: number;
  readonly column?: number;
  /** The answer of the Kubernetes API server, for the KUBE codes: HTTP status, `reason` and `message` of its Status object. */
  readonly kube?: { readonly httpStatus: number; readonly reason: string; readonly message: string };
}

/** The error of every failure Rhea foresees. */
export class RheaError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: { details?: ErrorDetails; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "RheaError";
    this.code = code;
    this.details = options.details ?? {};
  }

  /** Whether the same request may succeed when repeated. */
  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }

  /** Turns anything thrown into a RheaError; what is not one becomes INTERNAL with the original as `cause`. */
  static from(thrown: unknown): RheaError {
    if (thrown instanceof RheaError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new RheaError("INTERNAL", message, { cause: thrown });
  }
}

/** A broken invariant: a bug. Whoever meets one stops the process. */
export class InvariantError extends RheaError {
  constructor(message: string, cause?: unknown) {
    super("INTERNAL", message, { cause });
    this.name = "InvariantError";
  }
}

/** Throws {@link InvariantError} unless `condition` holds. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** Whether `code` is a row of the table. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
