/**
 * sim: deterministic worlds for tests. `runWorld(seed)` runs the real client, store engine, raft host and log of several stores in one
 * process on virtual time, with faults, and judges what it saw. Called by tests and by the campaign (`sim/README.md`); never by products.
 */
export { runWorld } from "./world/sim-world.js";
export type { WorldOptions, WorldReport } from "./world/sim-world.js";
