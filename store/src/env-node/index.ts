/** Node's side of the store: classic-level and the wiring of the process main. Used by mains and tests only. */
export { openLevelKv } from "./leveldb-engine.js";
export type { LevelKvOptions } from "./leveldb-engine.js";
