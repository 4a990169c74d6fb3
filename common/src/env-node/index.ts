/** Node's implementations of the injected environment. Imported by process mains, `env-node` folders and tests only. */
export { nodeClock, nodeRng, nodeScheduler } from "./time.js";
export { nodeDisk } from "./disk.js";
export { createLogger } from "./log.js";
export type { ProcessLogger } from "./log.js";
export { grpcNet } from "./grpc-net.js";
export type { GrpcNetOptions } from "./grpc-net.js";
export { startStatusServer } from "./status-server.js";
export type { StatusPage } from "./status-server.js";
export { runMain } from "./run-main.js";
export type { MainContext } from "./run-main.js";
