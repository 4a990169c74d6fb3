/**
 * pipeline: what happens to a region report: an ordered list of small handlers, extensible through `registerHandler`. Called by the
 * service for every region of every heartbeat, so it never waits and takes microseconds. It opens no streams and keeps no state.
 */
export { builtInHandlers } from "./handlers.js";
export { HeartbeatPipeline } from "./pipeline.js";
export type { HeartbeatHandler, RegionReport } from "./pipeline.js";
