import { equal } from "node:assert/strict";
import type { ProgressStatus } from "../core/types.js";
import { truncationTarget, type TruncationInput } from "./truncation.js";

const follower = (
  match: number,
  state: ProgressStatus["state"] = "replicate",
  pendingSnapshot = 0,
): ProgressStatus => ({
  state,
  match,
  next: match + 1,
  recentActive: true,
  isLearner: false,
  paused: false,
  pendingSnapshot,
  inflightMsgs: 0,
  inflightBytes: 0,
  inflightFull: false,
});

const base: TruncationInput = {
  truncatedIndex: 100,
  durableIndex: 200,
  liveBytes: 10,
  maxEntries: 1_000,
  maxBytes: 1_000,
  followers: [],
  leaderTruncatedIndex: 0,
};

describe("truncation target", () => {
  it("never passes what is durable", () => {
    equal(truncationTarget(base), 200);
    equal(truncationTarget({ ...base, followers: undefined, leaderTruncatedIndex: 500 }), 200);
  });

  it("keeps what the slowest live follower lacks", () => {
    equal(truncationTarget({ ...base, followers: [follower(150), follower(199)] }), 150);
  });

  it("gives up followers that lack more than half of a log over its limit, and no others", () => {
    const input = { ...base, durableIndex: 1_200, followers: [follower(110), follower(1_150)] };
    equal(truncationTarget(input), 1_150);
    equal(truncationTarget({ ...base, liveBytes: 1_001, followers: [follower(110), follower(180)] }), 180);
  });

  it("keeps what follows a snapshot on its way, over the limit too", () => {
    const followers = [follower(10, "snapshot", 300)];
    equal(truncationTarget({ ...base, durableIndex: 1_200, followers }), 300);
    equal(truncationTarget({ ...base, durableIndex: 5_000, followers }), 5_000);
  });

  it("lets a follower cut what its leader has cut, or far over the limit what is durable", () => {
    equal(truncationTarget({ ...base, followers: undefined, leaderTruncatedIndex: 120 }), 120);
    equal(truncationTarget({ ...base, followers: undefined, durableIndex: 1_900 }), 0);
    equal(truncationTarget({ ...base, followers: undefined, durableIndex: 2_200 }), 2_200);
  });
});
