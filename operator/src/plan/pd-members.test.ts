import assert from "node:assert/strict";
import type { Host, Observed, PdMember, PdRecord } from "./observed.js";
import {
  DISK_LOST,
  KILLED,
  NOW,
  actionsOf,
  blockedOf,
  observed,
  pdMember,
  pdRecord,
  view,
  wanted,
} from "./plan-fixture.js";

const LOST_HOST = (sinceMs: number): Host => ({ name: "h", state: "notReady", sinceMs, isCordoned: false, labels: {} });

/** PD members: what the platform says of each, and what PD does; an absent second part is one that PD does not count. */
function pds(...parts: readonly (readonly [Partial<PdRecord>, Partial<PdMember>?])[]): Observed {
  return observed({
    pds: parts.map(([change], i) => pdRecord(i, change)),
    nextPdOrdinal: parts.length,
    view: view({ members: parts.flatMap(([, change], i) => (change === undefined ? [] : [pdMember(i, change)])) }),
  });
}

const three = wanted({ pdReplicas: 3 });
const leads = { isLeader: true };

describe("PD members", () => {
  it("begin with one that is told so", () => {
    const seen = { ...observed({ pds: [], nextPdOrdinal: 0, stores: [], nextOrdinal: 0 }), view: undefined };
    assert.deepEqual(actionsOf(seen, three).slice(0, 2), ["add demo-pd-0", "add demo-store-0"]);
  });

  it("join one at a time, when all that are there are healthy voters", () => {
    assert.deepEqual(actionsOf(pds([{}, leads]), three), ["add demo-pd-1"]);
    assert.deepEqual(actionsOf(pds([{}, leads], [{ initialised: false }]), three), []);
    assert.deepEqual(actionsOf(pds([{}, leads], [{ initialised: false }, { isVoter: false }]), three), []);
    assert.deepEqual(actionsOf(pds([{}, leads], [{}, {}]), three), ["add demo-pd-2"]);
    assert.deepEqual(actionsOf(pds([{}, leads], [{}, {}], [{}, {}]), three), []);
  });

  it("never use a name again", () => {
    const seen = { ...pds([{}, leads]), nextPdOrdinal: 4 };
    assert.deepEqual(actionsOf(seen, three), ["add demo-pd-4"]);
  });

  it("go one at a time, the leader never", () => {
    assert.deepEqual(actionsOf(pds([{}, {}], [{}, {}], [{}, leads])), ["take demo-pd-1 out of pd"]);
    assert.deepEqual(actionsOf(pds([{}, {}], [{}], [{}, leads])), ["stop demo-pd-1"]);
    assert.deepEqual(actionsOf(pds([{}, {}], [{ process: { kind: "stopped" } }], [{}, leads])), [
      "delete the data of demo-pd-1",
    ]);
  });

  it("go where they do not serve before those that do, and never below a quorum", () => {
    const down = { process: KILLED } as const;
    const five = pds([{}, leads], [{}, {}], [{}, {}], [{}, {}], [down, { isHealthy: false }]);
    assert.ok(actionsOf(five, three).includes("take demo-pd-4 out of pd"));
    const two = pds([{}, leads], [{}, { isHealthy: false }], [{}, { isHealthy: false }]);
    assert.ok(!actionsOf(two).some((action) => action.startsWith("take")));
    assert.match(blockedOf(two), /demo-pd-2 is not removed: 1 of 3 voters answer, a quorum is 2/);
  });

  for (const [what, change, isReplaced] of [
    ["whose disk is lost", { process: DISK_LOST }, true],
    ["whose volume is gone", { process: { kind: "stopped" }, directory: "missing" }, true],
    ["whose host has been lost for long", { host: LOST_HOST(NOW - 300_000) }, true],
    ["whose host has just been lost", { host: LOST_HOST(NOW - 299_000) }, false],
    ["that was killed", { process: KILLED }, false],
  ] as const satisfies readonly (readonly [string, Partial<PdRecord>, boolean])[]) {
    it(`${isReplaced ? "replaces" : "waits for"} one ${what}`, () => {
      const seen = pds([{}, leads], [change, { isHealthy: false }], [{}, {}]);
      assert.equal(actionsOf(seen, three).includes("take demo-pd-1 out of pd"), isReplaced);
    });
  }

  it("are replaced under a new name once the lost one is out", () => {
    const out = pds([{}, leads], [{ process: DISK_LOST }], [{}, {}]);
    assert.deepEqual(actionsOf(out, three), ["delete the data of demo-pd-1"]);
    const after = observed({
      pds: [pdRecord(0), pdRecord(2)],
      nextPdOrdinal: 3,
      view: view({ members: [pdMember(0, leads), pdMember(2)] }),
    });
    assert.deepEqual(actionsOf(after, three), ["add demo-pd-3"]);
  });

  it("are not replaced without a quorum", () => {
    const seen = pds([{}, leads], [{ process: DISK_LOST }, { isHealthy: false }], [{}, { isHealthy: false }]);
    assert.ok(!actionsOf(seen, three).some((action) => action.startsWith("take")));
    assert.match(blockedOf(seen, three), /demo-pd-1: .* it is not replaced: 1 of 3 voters answer, a quorum is 2/);
  });

  it("do not count as answering when those that answered have stopped since", () => {
    const stopped = { process: { kind: "stopped" } } as const;
    const seen = { ...pds([{}, leads], [stopped, {}], [stopped, {}]), stores: [] };
    assert.deepEqual(actionsOf(seen, three), ["start demo-pd-1", "start demo-pd-2"]);
    assert.match(blockedOf(seen, three), /PD does not answer/);
  });

  it("are not deleted on an answer of PD from before they joined", () => {
    const seen = pds([{}, leads], [{ process: { kind: "stopped" } }], [{}, {}]);
    assert.deepEqual(actionsOf({ ...seen, view: { ...(seen.view ?? view()), ageMs: 1_500 } }, three), []);
  });

  it("that PD counts and that are nowhere any more are taken out", () => {
    const seen = observed({
      view: view({ members: [pdMember(0, leads), pdMember(1), pdMember(2, { isHealthy: false })] }),
    });
    assert.deepEqual(
      actionsOf({ ...seen, pds: [pdRecord(0), pdRecord(1)], nextPdOrdinal: 2 }, wanted({ pdReplicas: 3 })),
      ["take demo-pd-2 out of pd"],
    );
  });

  it("stop after the stores when the cluster is suspended, the leader last", () => {
    const stopped = { process: { kind: "stopped" } } as const;
    const at = (first: Partial<PdRecord>) => ({
      ...pds([{}, leads], [first, {}], [first, {}]),
      stores: [],
    });
    const suspended = wanted({ pdReplicas: 3, suspend: true });
    assert.deepEqual(actionsOf(at({}), suspended), ["stop demo-pd-1", "stop demo-pd-2"]);
    assert.deepEqual(actionsOf(at({ process: { kind: "stopping", sinceMs: NOW } }), suspended), []);
    assert.deepEqual(actionsOf(at(stopped), suspended), ["stop demo-pd-0"]);
  });
});
