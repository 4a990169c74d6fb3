/**
 * history: records what clients asked and were told, and judges whether one copy of the data, changed by one operation at a time, could
 * have given these answers. Used by the simulator, the whole-system tests and `rheactl`. It sends nothing, waits for nothing, and
 * knows nothing of regions or raft: what an operation means is a {@link Model}.
 */
export { createHistory } from "./record.js";
export type { History, Operation, Outcome } from "./record.js";
export { checkLinearizable } from "./linearizable.js";
export type { CheckLimits, Verdict } from "./linearizable.js";
export type { Model, Step } from "./model.js";
export { registerModel } from "./models/register.js";
export type { RegisterOp, RegisterResult } from "./models/register.js";
export { runRegisterOp } from "./models/register-calls.js";
export type { RegisterCalls } from "./models/register-calls.js";
export { appendListModel } from "./models/append-list.js";
export type { AppendListOp, AppendListResult } from "./models/append-list.js";
export { sequenceModel } from "./models/sequence.js";
export type { SequenceOp, SequenceResult } from "./models/sequence.js";
