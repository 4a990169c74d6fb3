/**
 * conformance: runs datadriven transcripts of the form that etcd-io/raft publishes against raft/core. `main.ts` is the command line
 * (`npm run conformance -- DIR...`), the test beside it runs what is at hand. Nothing in production calls it; it judges, it never
 * rewrites expectations.
 */
export { OWN_TRANSCRIPTS, publishedTranscripts } from "./places.js";
export { runConformance } from "./run.js";
export type { FileReport } from "./run.js";
