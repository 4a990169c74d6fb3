import assert from "node:assert/strict";
import type { GroupLifecycle, GroupLog } from "@rhea/raft";
import { awaitingState, initialState } from "./initial-region.js";
import { planRecovery } from "./recovery.js";

const live: GroupLifecycle = { state: "live", peerId: 11 };
const destroyed = (peerId: number): GroupLifecycle => ({ state: "destroyed", peerId, confVer: 2, version: 1 });

function log(lifecycle: GroupLifecycle, extra: Partial<GroupLog> = {}): GroupLog {
  return {
    groupId: 2,
    lifecycle,
    hardState: { term: 1, vote: 0, commit: 0 },
    pendingInstall: undefined,
    truncatedIndex: 5,
    truncatedTerm: 5,
    lastIndex: 9,
    liveBytes: 0,
    term: () => 1,
    entries: () => [],
    ...extra,
  };
}

const fresh = initialState(
  { regionId: 2, startKey: Buffer.alloc(0), endKey: Buffer.alloc(0), voters: [{ peerId: 11, storeId: 1 }] },
  1,
);
const started = { ...fresh, record: { ...fresh.record, logStarted: true } };
const awaiting = awaitingState(fresh.record.descriptor, 11);
const whole = { kind: "whole" } as const;
const install = { file: "f", index: 20, term: 2, confState: fresh.record.confState };

describe("what becomes of a group at open", () => {
  const cases: [string, typeof fresh | undefined, GroupLog | undefined, string][] = [
    ["records and log: it starts", started, log(live), "start"],
    ["records of a start that the log did not see: the log starts anew", fresh, undefined, "startAnew"],
    ["records that a log must go with, and none: a fault", started, undefined, "fault"],
    ["an empty peer in both: it waits", awaiting, log(live, { truncatedIndex: 0, lastIndex: 0 }), "await"],
    ["an empty peer whose log record was lost: it never was", awaiting, undefined, "drop"],
    ["an empty peer re-made over its tombstone, log record lost: it never was", awaiting, log(destroyed(10)), "drop"],
    ["an empty log without records: it waits", undefined, log(live, { truncatedIndex: 0, lastIndex: 0 }), "await"],
    [
      "a staged snapshot without records: it waits for its install",
      undefined,
      log(live, { pendingInstall: install }),
      "await",
    ],
    ["a log whose data are gone: a fault", undefined, log(live), "fault"],
    ["a tombstone over records: the destruction is finished", started, log(destroyed(11)), "finishDestroy"],
    ["a condemned log: a fault", started, log({ state: "condemned", peerId: 11, reason: "bad frame" }), "fault"],
    ["data of another peer than the log's: a fault", started, log({ state: "live", peerId: 12 }), "fault"],
  ];
  for (const [name, stored, group, expected] of cases) {
    it(name, () => {
      const plan = planRecovery(stored === undefined ? [] : [stored], group === undefined ? [] : [group], whole);
      assert.deepEqual(
        plan.map(({ kind }) => kind),
        [expected],
      );
    });
  }

  it("a tombstone alone is left alone", () => {
    assert.deepEqual(planRecovery([], [log(destroyed(11))], whole), []);
  });

  it("a lost batch condemns the regions it may have held and no others", () => {
    const lost = { kind: "lost", regions: new Set([3]), sequence: 7 } as const;
    assert.equal(planRecovery([started], [log(live)], lost)[0]?.kind, "start");
    assert.equal(planRecovery([started], [log(live)], { ...lost, regions: new Set([2]) })[0]?.kind, "fault");
    assert.equal(planRecovery([started], [log(live)], { kind: "lostAny", sequence: 7 })[0]?.kind, "fault");
  });
});
