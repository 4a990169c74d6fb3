/**
 * operator: keeps Rhea clusters as their RheaCluster objects describe them. Here are the pure parts, for tools and the simulator:
 * reading and checking a cluster file, and the plan. `@rhea/operator/env-node` runs clusters of local processes.
 */
export { API_VERSION, KIND, RULE_CASES, STORE_KIND, parseClusterFile, resolveCluster } from "./api/index.js";
export type {
  Condition,
  DesiredCluster,
  PlannedAction,
  RheaCluster,
  RheaClusterSpec,
  RheaClusterStatus,
  RheaStore,
  RheaStoreSpec,
  RheaStoreStatus,
  RuleCase,
  StoreStatus,
} from "./api/index.js";
export { describeBlocked, describeStep, plan } from "./plan/index.js";
export type {
  Action,
  AutoscaleMemory,
  Blocked,
  Host,
  MemberRecord,
  Observed,
  PdConfig,
  PdMember,
  PdOperation,
  PdRecord,
  PdRegion,
  PdStore,
  PdView,
  Plan,
  PlannedPdMember,
  PlannedStatus,
  PlannedStore,
  ProcessState,
  Step,
  StoreRecord,
  TimelessCondition,
} from "./plan/index.js";
export {
  DEFAULT_CERTIFICATE_POLICY,
  createCa,
  describeCertificate,
  issue,
  makeSecret,
  planCertificates,
} from "./certificates/index.js";
export type {
  CaAction,
  CertificateAction,
  CertificateFacts,
  CertificateInput,
  CertificatePlan,
  CertificatePolicy,
  CertificateRequest,
  Expiry,
  KeyPair,
  LeafAction,
  SecretContent,
  SecretWrite,
  Usage,
  WantedLeaf,
} from "./certificates/index.js";
