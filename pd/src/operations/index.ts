/**
 * operations: what is being done to regions: kinds, steps, progress, proofs of safety, and the table of running and finished
 * operations. Called by the service on the event loop. It does not decide what should be done (schedule/) and sends nothing.
 */
export { isRequestedKind, operationFromProto, operationToProto, PRIORITY } from "./operation.js";
export type { OperationKind, OperationView, Proposal } from "./operation.js";
export { OperationTable } from "./operation-table.js";
export type { Influence } from "./operation-table.js";
export { isLivePeer, leaderCandidates, leaderRefusal, proveLiveMajority, proveRemoval } from "./safety.js";
export type { Step } from "./step.js";
