/**
 * api: the RheaCluster object. Types, schema and rules are generated from `crds/rheacluster.yaml`; here stands what a platform
 * without an API server needs beside them: reading a file, checking it as the API server would, filling in defaults. Called by the
 * process platform and by tools that check a file. It changes nothing and knows nothing of a running cluster.
 */
export { parseClusterFile } from "./cluster-file.js";
export { resolveCluster } from "./resolve.js";
export type { DesiredCluster } from "./resolve.js";
export { API_VERSION, KIND } from "./gen/rhea-cluster.js";
export type {
  Condition,
  PlannedAction,
  RheaCluster,
  RheaClusterSpec,
  RheaClusterStatus,
  StoreStatus,
} from "./gen/rhea-cluster.js";
