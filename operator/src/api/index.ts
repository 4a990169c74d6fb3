/**
 * api: the RheaCluster and RheaStore objects. Types, schemas and rules are generated from `crds/*.yaml`; here stands what a platform
 * without an API server needs beside them: reading a file, checking it as the API server would, filling in defaults. Called by the
 * process platform and by tools that check a file. It changes nothing and knows nothing of a running cluster.
 */
export { parseClusterFile } from "./cluster-file.js";
export { fieldsWithoutLocalEffect } from "./local-fields.js";
export { resolveCluster } from "./resolve.js";
export type { DesiredCluster, PodDemand } from "./resolve.js";
export { API_VERSION, KIND } from "./gen/rhea-cluster.js";
export { STORE_KIND } from "./gen/rhea-store.js";
export type {
  BlockedStatus,
  Condition,
  PdMemberStatus,
  PlannedAction,
  RheaCluster,
  RheaClusterSpec,
  RheaClusterStatus,
  StoreStatus,
} from "./gen/rhea-cluster.js";
export { RULE_CASES } from "./rule-cases.js";
export type { RuleCase } from "./rule-cases.js";
export type { RheaStore, RheaStoreSpec, RheaStoreStatus } from "./gen/rhea-store.js";
