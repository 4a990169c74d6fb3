/**
 * platforms/process: the operator on local processes, what `npm start` runs. `startLocalCluster` locks a data directory, adopts what runs,
 * and then loops: read the cluster file, observe processes and PD, `plan`, execute. The plan decides everything; here is only I/O:
 * `supervisor` (processes), `platform` (observe and execute), `state-file` and `lock` (memory of a data directory), `status-table`.
 * It runs on one machine and knows nothing of Kubernetes.
 */
export { startLocalCluster } from "./local-cluster.js";
export type { LocalCluster, LocalClusterOptions } from "./local-cluster.js";
export type { ClusterSource } from "./cluster-source.js";
export type { LocalStatus, ProcessRow } from "./local-status.js";
export { inspectLocalCluster, resetLocalCluster, stopLocalCluster } from "./maintenance.js";
export type { Inspection } from "./maintenance.js";
export type { Programs } from "./platform-options.js";
export { renderHints, renderStatus } from "./status-table.js";
