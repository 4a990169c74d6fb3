/**
 * conformance: runs datadriven transcripts of the form that etcd-io/raft publishes against raft/core. `main.ts` is the command line
 * (`npm run conformance -- DIR...`), the test beside it runs what is at hand. Nothing in production calls it; it judges, it never
 * rewrites expectations.
 */
export { runConformance, runFile } from "./run.js";
export type { ConformanceReport, FileReport } from "./run.js";
