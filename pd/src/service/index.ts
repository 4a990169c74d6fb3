/**
 * service: the PD member at work: leadership, sessions with stores, the API, and the coordinator that ties model, operations and
 * planning together. Everything runs on one event loop. It takes its clock, timers, network and metadata store from outside.
 */
export { Coordinator } from "./coordinator.js";
export { createPd } from "./pd.js";
export type { Pd, PdOptions, Readiness } from "./pd.js";
