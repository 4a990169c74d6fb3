/**
 * Node's side of the store: classic-level, the wiring of the process main, and processes and clusters for tests. Imported by mains, tests
 * and packages that embed the engine on Node.
 */
export { openLevelKv } from "./leveldb-engine.js";
export type { LevelKvOptions } from "./leveldb-engine.js";
