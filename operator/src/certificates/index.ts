/**
 * certificates: who signs for a cluster's processes and clients, and when certificates and the CA itself are exchanged, without a restart and
 * without a moment in which two of them refuse each other. `planCertificates` decides from Secrets, `makeSecret` makes what it decided; the
 * operator reads and writes the Secrets. It reads no clock and talks to nobody.
 */
export { createCa, issue } from "./issue.js";
export type { CertificateRequest, KeyPair, Usage } from "./issue.js";
export { describe as describeCertificate } from "./facts.js";
export type { CertificateFacts } from "./facts.js";
export type { SecretContent } from "./authority.js";
export { DEFAULT_CERTIFICATE_POLICY, planCertificates } from "./plan-certificates.js";
export type {
  CaAction,
  CertificateAction,
  CertificateInput,
  CertificatePlan,
  CertificatePolicy,
  Expiry,
  LeafAction,
  WantedLeaf,
} from "./plan-certificates.js";
export { makeSecret } from "./execute.js";
export type { SecretWrite } from "./execute.js";
