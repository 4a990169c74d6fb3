/**
 * cli: `rheactl`. Parses a command line, finds the cluster, calls the client and prints. Called by its main and by tests; it holds no state and
 * decides nothing.
 */
export { runCli } from "./program.js";
export type { CliEnvironment, Target } from "./environment.js";
