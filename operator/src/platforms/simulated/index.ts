/**
 * platforms/simulated: Kubernetes, PD and stores in memory, on virtual time, with seeds of misbehaviour. `runSeed(seed)` runs the real operator
 * (`platforms/kubernetes`, `plan`, `runtime`, informers, leader election) in one such world: a new cluster settles, users and faults disturb it,
 * everything heals, and it must converge and come to rest. Only tests use it. What it is not: a check of manifests against a real API server
 * (no CEL, no admission), nor of stores and PD themselves, which are values here.
 */
export { runSeed } from "./run-seed.js";
export type { RunReport } from "./run-seed.js";
export type { Mutation } from "./world/mutation.js";
