/** An operation: PD's unit of change to one region. */
import type { Operation as OperationMessage, OperationInit } from "@rhea/proto";
import { stepFromProto, stepToProto, type Step } from "./step.js";

/** Who wanted it: a person or program through the API (`operator`, `user`), or PD itself. */
export type OperationOrigin = "operator" | "user" | "checker" | "scheduler";

/** What the operation is for; the limits count by it. */
export type OperationKind =
  // asked for through the API
  | "add-peer"
  | "remove-peer"
  | "replace-peer"
  | "transfer-leader"
  // also made by the checker
  | "split"
  // checkers
  | "leave-joint"
  | "make-up"
  | "replace-down-peer"
  | "rebuild-peer"
  | "drain-leader"
  | "drain-region"
  | "remove-extra-peer"
  | "better-place"
  // schedulers
  | "evict-leader"
  | "balance-leader"
  | "balance-region";

/**
 * Where an operation is. `running`: steps are sent. `succeeded`: all steps show in the region. `cancelled`: someone asked, or the region changed
 * under it. `replaced`: a more urgent one took the region. `timed-out`: a step took too long. `expired`: no leader of the region ever
 * reported. `failed`: the store refused a step for good.
 */
export type OperationState = "running" | "succeeded" | "cancelled" | "replaced" | "timed-out" | "expired" | "failed";

/** A more urgent operation replaces a less urgent one of the same region. */
export const PRIORITY = { balance: 0, normal: 1, urgent: 2, requested: 3 } as const;
export type Priority = (typeof PRIORITY)[keyof typeof PRIORITY];

/** What a checker, a scheduler or a request wants done. */
export interface Proposal {
  readonly regionId: number;
  readonly kind: OperationKind;
  readonly steps: readonly Step[];
  readonly origin: OperationOrigin;
  readonly priority: Priority;
  /** Why, with the numbers that decided. */
  readonly reason: string;
}

/** An operation as the table shows it. */
export interface OperationView extends Proposal {
  readonly operationId: number;
  /** The region's epoch when it was made. Invariant: confVer may since have risen only by this operation's own changes. */
  readonly confVer: number;
  readonly version: number;
  /** Index of the first step that is not done. */
  readonly currentStep: number;
  readonly state: OperationState;
  /** Monotonic ms. */
  readonly createdAtMs: number;
  readonly stepStartedAtMs: number;
  readonly finishedAtMs: number;
  /** The last obstacle, or why it ended. */
  readonly message: string;
}

/** Writes an operation for the wire (and for the metadata region). */
export function operationToProto(operation: OperationView, nowMs: number): OperationInit {
  const { operationId, regionId, confVer, version } = operation;
  return {
    operationId,
    regionId,
    kind: operation.kind,
    origin: operation.origin,
    reason: operation.reason,
    state: operation.state,
    steps: operation.steps.map((step, stepIndex) =>
      stepToProto(step, { operationId, stepIndex, regionId, confVer, version }),
    ),
    currentStep: operation.currentStep,
    ageMs: Math.max(0, Math.round(nowMs - operation.createdAtMs)),
    finishedMsAgo: operation.state === "running" ? 0 : Math.max(0, Math.round(nowMs - operation.finishedAtMs)),
    message: operation.message,
    epoch: { confVer, version },
  };
}

const REQUESTED_KINDS: readonly string[] = ["add-peer", "remove-peer", "replace-peer", "transfer-leader", "split"];

/** Whether the API may ask for operations of this kind. */
export function isRequestedKind(kind: string): kind is OperationKind {
  return REQUESTED_KINDS.includes(kind);
}

/** Reads a persisted requested operation; undefined if it is not one that can be resumed. Its clock starts anew at `nowMs`. */
export function operationFromProto(message: OperationMessage, nowMs: number): OperationView | undefined {
  const steps = message.steps.map(stepFromProto).filter((step) => step !== undefined);
  const { kind, origin } = message;
  if (steps.length !== message.steps.length || message.epoch === null || message.state !== "running") return undefined;
  if (!isRequestedKind(kind) || (origin !== "operator" && origin !== "user")) return undefined;
  return {
    operationId: message.operationId,
    regionId: message.regionId,
    kind,
    steps,
    origin,
    priority: PRIORITY.requested,
    reason: message.reason,
    confVer: message.epoch.confVer,
    version: message.epoch.version,
    currentStep: 0,
    state: "running",
    createdAtMs: nowMs,
    stepStartedAtMs: nowMs,
    finishedAtMs: 0,
    message: "resumed by a new PD leader",
  };
}
