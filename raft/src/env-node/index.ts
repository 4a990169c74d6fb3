/**
 * Node's side of the raft library: the one call that runs raft groups in a process. Imported by applications and tests; everything else in the
 * library works on the environment it is given.
 */
export { startRaftServer } from "./start-raft-server.js";
export { describeOnSignal } from "./describe-on-signal.js";
export type { NodeRaftServerOptions } from "./start-raft-server.js";
export type { RaftServer, RaftServerGroup, RaftServerOptions } from "../embed/api.js";
