export { createCa, issue } from "./issue.js";
export type { CertificateRequest, KeyPair, Usage } from "./issue.js";
export { describe } from "./facts.js";
export type { CertificateFacts } from "./facts.js";
