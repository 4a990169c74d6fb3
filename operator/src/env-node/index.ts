/**
 * The operator's door to the machine: local clusters of processes. Used by `npm start`, the smoke test and the benchmarks. Pure parts are
 * in the index of the package.
 */
export { inspectLocalCluster, startLocalCluster } from "../platforms/process/index.js";
export type {
  ClusterSource,
  Inspection,
  LocalCluster,
  LocalClusterOptions,
  LocalStatus,
  ProcessRow,
  Programs,
} from "../platforms/process/index.js";
