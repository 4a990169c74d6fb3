import { fileURLToPath } from "node:url";

/** Is where our own transcripts are. */
export const OWN_TRANSCRIPTS: string = fileURLToPath(new URL("../../testdata", import.meta.url));

/** Returns where etcd's published transcripts are, if they are anywhere: `RAFT_TESTDATA`, or a folder beside the project. */
export function publishedTranscripts(): string {
  return (
    process.env["RAFT_TESTDATA"] ?? fileURLToPath(new URL("../../../../shared/etcd-raft-testdata", import.meta.url))
  );
}
