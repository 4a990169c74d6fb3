import type { PeerId } from "./types.js";

/** Is the committed index of an empty set of voters: it never holds anybody back, which lets one half of a joint quorum be empty. */
export const COMMITTED_BY_NOBODY: number = Number.MAX_SAFE_INTEGER;

/** Is the state of an election. */
export type VoteResult = "pending" | "lost" | "won";

/** Looks up the index a voter has acknowledged; 0 when it has not been heard of. */
export interface AckedIndexer {
  ackedIndex(id: PeerId): number;
}

// Holds the indexes of one computation while they are sorted: nothing here is re-entrant, and this runs once per acknowledgement.
const scratch: number[] = [];

/** Returns the highest index that a majority of `voters` has acknowledged. Allocates nothing. */
export function majorityCommittedIndex(voters: readonly PeerId[], acked: AckedIndexer): number {
  const n = voters.length;
  if (n === 0) return COMMITTED_BY_NOBODY;
  for (let i = 0; i < n; i++) {
    const index = acked.ackedIndex(voters[i] as PeerId);
    let at = i;
    while (at > 0 && (scratch[at - 1] as number) > index) {
      scratch[at] = scratch[at - 1] as number;
      at--;
    }
    scratch[at] = index;
  }
  return scratch[n - (Math.floor(n / 2) + 1)] as number;
}

/** Returns the highest index committed in both halves of a joint configuration (an empty half agrees to everything). */
export function jointCommittedIndex(
  incoming: readonly PeerId[],
  outgoing: readonly PeerId[],
  acked: AckedIndexer,
): number {
  return Math.min(majorityCommittedIndex(incoming, acked), majorityCommittedIndex(outgoing, acked));
}

/** Judges an election from the votes received so far; an empty set of voters always agrees. */
export function majorityVoteResult(voters: readonly PeerId[], votes: ReadonlyMap<PeerId, boolean>): VoteResult {
  if (voters.length === 0) return "won";
  let granted = 0;
  let missing = 0;
  for (const id of voters) {
    const vote = votes.get(id);
    if (vote === undefined) missing++;
    else if (vote) granted++;
  }
  const needed = Math.floor(voters.length / 2) + 1;
  if (granted >= needed) return "won";
  return granted + missing >= needed ? "pending" : "lost";
}

/** Judges an election in a joint configuration: both halves must be won, and one lost half loses it. */
export function jointVoteResult(
  incoming: readonly PeerId[],
  outgoing: readonly PeerId[],
  votes: ReadonlyMap<PeerId, boolean>,
): VoteResult {
  const left = majorityVoteResult(incoming, votes);
  const right = majorityVoteResult(outgoing, votes);
  if (left === right) return left;
  return left === "lost" || right === "lost" ? "lost" : "pending";
}
