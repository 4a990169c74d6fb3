import assert from "node:assert/strict";
import fc from "fast-check";
import { COMMITTED_BY_NOBODY, jointCommittedIndex, jointVoteResult, majorityCommittedIndex } from "./quorum.js";
import type { PeerId } from "./types.js";

const voters = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 9 });
const acked = fc.dictionary(fc.integer({ min: 1, max: 9 }).map(String), fc.integer({ min: 0, max: 6 }));

/** Counts, for every index, how many voters have reached it. */
function naive(ids: readonly PeerId[], indexes: Record<string, number>): number {
  if (ids.length === 0) return COMMITTED_BY_NOBODY;
  let committed = 0;
  for (let index = 0; index <= 6; index++) {
    if (ids.filter((id) => (indexes[id] ?? 0) >= index).length * 2 > ids.length) committed = index;
  }
  return committed;
}

function indexer(indexes: Record<string, number>) {
  return { ackedIndex: (id: PeerId) => indexes[id] ?? 0 };
}

describe("quorum", () => {
  it("commits what a plain count over all voters commits", () => {
    fc.assert(
      fc.property(voters, acked, (ids, indexes) => {
        assert.equal(majorityCommittedIndex(ids, indexer(indexes)), naive(ids, indexes));
      }),
    );
  });

  it("commits in a joint configuration only what both halves commit", () => {
    fc.assert(
      fc.property(voters, voters, acked, (incoming, outgoing, indexes) => {
        const expected = Math.min(naive(incoming, indexes), naive(outgoing, indexes));
        assert.equal(jointCommittedIndex(incoming, outgoing, indexer(indexes)), expected);
      }),
    );
  });

  it("calls an election won or lost exactly when no outstanding vote can change that", () => {
    const votes = fc.dictionary(fc.integer({ min: 1, max: 9 }).map(String), fc.boolean());
    fc.assert(
      fc.property(voters, voters, votes, (incoming, outgoing, cast) => {
        const outcome = (missing: boolean): boolean =>
          [incoming, outgoing].every(
            (half) => half.length === 0 || half.filter((id) => cast[id] ?? missing).length * 2 > half.length,
          );
        const expected = outcome(false) ? "won" : outcome(true) ? "pending" : "lost";
        const map = new Map(Object.entries(cast).map(([id, vote]) => [Number(id), vote]));
        assert.equal(jointVoteResult(incoming, outgoing, map), expected);
      }),
    );
  });
});
