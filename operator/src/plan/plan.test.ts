import assert from "node:assert/strict";
import type { DesiredCluster } from "../api/resolve.js";
import type { Observed, ProcessState } from "./observed.js";
import {
  DISK_LOST,
  KILLED,
  NOW,
  actionsOf,
  blockedOf,
  observed,
  pdRecord,
  pdStore,
  record,
  region,
  view,
  wanted,
} from "./plan-fixture.js";
import { plan } from "./plan.js";

function conditionOf(seen: Observed, type: string, desired: DesiredCluster = wanted()): string {
  const condition = plan(seen, desired, NOW).status.conditions.find((candidate) => candidate.type === type);
  return `${condition?.status ?? "absent"} ${condition?.reason ?? ""}`;
}

describe("plan of a settled cluster", () => {
  it("is empty and Ready", () => {
    const { actions, blocked } = plan(observed(), wanted(), NOW);
    assert.deepEqual({ actions, blocked }, { actions: [], blocked: [] });
    assert.equal(conditionOf(observed(), "Ready"), "True Ready");
    assert.equal(conditionOf(observed(), "Reconciling"), "False Settled");
  });

  it("gives every action a reason, a proof and an undo", () => {
    const cases = [
      observed({ stores: [] }),
      observed({ stores: [record(0), record(1), record(2, { process: DISK_LOST })] }),
      observed({ stores: [record(0), record(1), record(2, { process: KILLED })] }),
    ];
    for (const { actions } of cases.map((seen) => plan(seen, wanted({ operationLimit: 5 }), NOW))) {
      assert.ok(actions.length > 0);
      for (const { reason, proof, undo } of actions) assert.ok(reason && proof && undo);
    }
  });
});

describe("plan of a new cluster", () => {
  const fresh: Observed = {
    pds: [pdRecord(0, { initialised: false, process: { kind: "stopped" }, directory: "missing" })],
    nextPdOrdinal: 1,
    wallMs: 0,
    stores: [],
    nextOrdinal: 0,
    view: undefined,
  };

  it("starts PD and all stores at once", () => {
    assert.deepEqual(actionsOf(fresh), ["start demo-pd-0", "add demo-store-0", "add demo-store-1", "add demo-store-2"]);
  });

  it("goes on with the stores it has when it was interrupted", () => {
    const stopped = { initialised: false, process: { kind: "stopped" }, directory: "missing" } as const;
    const seen = { ...fresh, stores: [record(0, stopped), record(1, stopped)], nextOrdinal: 2 };
    assert.deepEqual(actionsOf(seen), [
      "start demo-pd-0",
      "start demo-store-0",
      "start demo-store-1",
      "add demo-store-2",
    ]);
  });

  it("never makes stores without PD's view once PD has answered", () => {
    const seen = { ...fresh, pds: [pdRecord(0, { process: { kind: "stopped" } })] };
    assert.deepEqual(actionsOf(seen), ["start demo-pd-0"]);
  });

  it("resumes what was stopped, all at once", () => {
    const stopped = { process: { kind: "stopped" } } as const;
    const seen = observed({
      pds: [pdRecord(0, { process: { kind: "stopped" } })],
      stores: [record(0, stopped), record(1, stopped), record(2, stopped)],
      view: undefined,
    });
    assert.deepEqual(actionsOf(seen), [
      "start demo-pd-0",
      "start demo-store-0",
      "start demo-store-1",
      "start demo-store-2",
    ]);
  });
});

describe("plan of processes", () => {
  const exited = (failures: number, agoMs: number): ProcessState => ({
    kind: "exited",
    code: 1,
    signal: null,
    atMs: NOW - agoMs,
    failures,
    failingSinceMs: NOW - 60_000,
  });
  const withStore = (process: ProcessState) => observed({ stores: [record(0), record(1), record(2, { process })] });

  for (const [failures, delayMs] of [
    [1, 0],
    [2, 1_000],
    [3, 2_000],
    [6, 16_000],
    [7, 30_000],
    [50, 30_000],
  ] as const) {
    it(`waits ${delayMs} ms after ${failures} failures in a row`, () => {
      assert.deepEqual(actionsOf(withStore(exited(failures, delayMs))), ["start demo-store-2"]);
      if (delayMs === 0) return;
      const early = withStore(exited(failures, delayMs - 1));
      assert.deepEqual(actionsOf(early), []);
      assert.deepEqual(
        plan(early, wanted(), NOW).blocked.map(({ object, nextTryMs }) => [object, nextTryMs]),
        [["demo-store-2", NOW + 1]],
      );
    });
  }

  it("never starts a store that has served on an empty directory", () => {
    const seen = observed({ stores: [record(0), record(1), record(2, { process: KILLED, directory: "missing" })] });
    assert.ok(!actionsOf(seen).includes("start demo-store-2"));
  });

  it("stops a store whose directory was taken from under it", () => {
    const seen = observed({ stores: [record(0), record(1), record(2, { directory: "missing" })] });
    assert.deepEqual(actionsOf(seen).slice(0, 3), [
      "stop demo-store-2",
      "tell pd that the disk of demo-store-2 is lost",
      "add demo-store-3",
    ]);
  });

  it("does not start PD on an empty directory and says so", () => {
    const pds = [pdRecord(0, { process: KILLED, directory: "missing" })];
    const seen = observed({ pds, view: undefined });
    assert.deepEqual(actionsOf(seen), []);
    assert.match(blockedOf(seen), /^demo-pd-0: the placement driver's data are lost/);
  });

  it("touches nothing but processes while PD's view is stale", () => {
    const seen = observed({
      stores: [record(0), record(1, { process: KILLED }), record(2, { process: DISK_LOST })],
      view: view({ ageMs: 5_001 }),
    });
    assert.deepEqual(actionsOf(seen, wanted({ storeReplicas: 5 })), ["start demo-store-1"]);
    assert.match(blockedOf(seen), /demo-pd-0: PD does not answer/);
    assert.match(
      blockedOf({ ...seen, pdError: "UNAVAILABLE: refused" }),
      /demo-pd-0: PD does not answer \(UNAVAILABLE: refused\): regions and stores are left as they are until it does/,
    );
  });

  it("stops stores first and PD last when it is suspended", () => {
    assert.deepEqual(actionsOf(observed(), wanted({ suspend: true })), [
      "stop demo-store-0",
      "stop demo-store-1",
      "stop demo-store-2",
    ]);
    const stopped = [0, 1, 2].map((ordinal) => record(ordinal, { process: { kind: "stopped" } }));
    assert.deepEqual(actionsOf(observed({ stores: stopped }), wanted({ suspend: true })), ["stop demo-pd-0"]);
    const last = [...stopped.slice(0, 2), record(2, { process: { kind: "stopping", sinceMs: NOW } })];
    assert.deepEqual(actionsOf(observed({ stores: last }), wanted({ suspend: true })), []);
  });

  it("does nothing while it is paused", () => {
    assert.deepEqual(actionsOf(withStore(KILLED), wanted({ mode: "Paused" })), []);
  });

  it("restarts silent stores one at a time, the longest run first", () => {
    const runs = (sinceMs: number): ProcessState => ({ kind: "running", sinceMs: NOW - sinceMs });
    const unheard = [region(5, [0, 1, 2], { reportedMsAgo: 60_000 })];
    const silentStores = [0, 1, 2].map((ordinal) => pdStore(ordinal, { state: "down", heartbeatMsAgo: 900_000 }));
    const seen = (...processes: ProcessState[]) =>
      observed({
        stores: processes.map((process, ordinal) => record(ordinal, { process })),
        view: view({ stores: silentStores, regions: unheard }),
      });
    assert.deepEqual(actionsOf(seen(runs(400_000), runs(500_000), runs(400_000))), ["restart demo-store-1"]);
    const stopping: ProcessState = { kind: "stopping", sinceMs: NOW };
    assert.deepEqual(actionsOf(seen(runs(400_000), stopping, runs(400_000))), []);
    assert.deepEqual(actionsOf(seen(runs(400_000), runs(5_000), runs(400_000))), []);
    assert.deepEqual(actionsOf(seen(runs(400_000), runs(25_000), runs(410_000))), ["restart demo-store-2"]);
  });

  it("restarts stores that PD's new address has not reached, though they do not serve as PD sees it", () => {
    const process: ProcessState = { kind: "running", sinceMs: NOW - 60_000, outdated: "pd a:1 -> a:2" };
    const stores = [0, 1, 2].map((ordinal) => pdStore(ordinal, { state: "disconnected", heartbeatMsAgo: 30_000 }));
    const regions = [region(5, [0, 1, 2], { reportedMsAgo: 60_000 })];
    const seen = observed({ stores: [0, 1, 2].map((i) => record(i, { process })), view: view({ stores, regions }) });
    const heardBefore = view({ regions, stores: stores.map((store) => ({ ...store, heartbeatMsAgo: 100_000 })) });
    assert.deepEqual(actionsOf(seen), ["restart demo-store-0"]);
    assert.deepEqual(actionsOf({ ...seen, view: heardBefore }), ["restart demo-store-0"]);
  });
});

describe("a pause", () => {
  const stores = [record(0), record(1), record(2, { process: KILLED })];
  const paused = (untilMs?: number) =>
    wanted({ mode: "Paused", pause: { reason: "moving house", ...(untilMs === undefined ? {} : { untilMs }) } });

  it("lasts until it is over, by the user's clock, and says why", () => {
    const seen = observed({ stores, wallMs: 1_000_000 });
    assert.deepEqual(actionsOf(seen, paused()), []);
    assert.deepEqual(actionsOf(seen, paused(1_000_001)), []);
    assert.match(blockedOf(seen, paused(1_000_001)), /mode is Paused \(moving house\)/);
    assert.equal(plan(seen, paused(1_000_001), NOW).blocked[0]?.nextTryMs, NOW + 1);
    assert.deepEqual(actionsOf(seen, paused(1_000_000)), ["start demo-store-2"]);
    assert.equal(plan(seen, paused(1_000_000), NOW).mode, "Reconcile");
  });
});

describe("plan of the configuration", () => {
  it("sets what differs and says from what to what", () => {
    const seen = observed({ view: view({ config: { ...view().config, repair: "pd", operationLimit: 8 } }) });
    const [action] = plan(seen, wanted(), NOW).actions;
    assert.equal(action?.kind, "setClusterConfig");
    assert.equal(action.reason, "repair is pd, wanted operator; operationLimit is 8, wanted 4");
  });
});

describe("status of a plan", () => {
  it("counts stores and regions", () => {
    const seen = observed({
      stores: [record(0), record(1), record(2, { process: KILLED })],
      view: view({ regions: [region(5, [0, 1, 2], { isFullyReplicated: false }), region(6, [0, 1, 2])] }),
    });
    const { status } = plan(seen, wanted(), NOW);
    assert.equal(status.replicas, 2);
    assert.deepEqual(status.regions, { total: 2, underReplicated: 1, noQuorum: 0 });
    assert.deepEqual(
      status.stores.map(({ state }) => state),
      ["Up", "Up", "Down"],
    );
    assert.equal(conditionOf(seen, "Ready"), "False NotSettled");
    assert.equal(conditionOf(seen, "Available"), "True AllRegionsServe");
  });

  it("is not Ready before the first region has its peers", () => {
    assert.equal(conditionOf(observed({ view: view({ regions: [] }) }), "Ready"), "False NotSettled");
  });

  it("is Stalled when only a person can help", () => {
    const desired = wanted({ maxReplacements: 0 });
    const seen = observed({ stores: [record(0), record(1), record(2, { process: DISK_LOST })] });
    assert.equal(conditionOf(seen, "Stalled", desired), "True Blocked");
  });

  it("reports a store that fills its space without calling the cluster unready", () => {
    const seen = observed({ view: view({ stores: [pdStore(0), pdStore(1), pdStore(2, { usedBytes: 95 })] }) });
    assert.match(
      blockedOf(seen, wanted({ storageBytes: 100 })),
      /demo-store-2: it uses more than 9 tenths of 100 bytes/,
    );
    assert.equal(conditionOf(seen, "Ready", wanted({ storageBytes: 100 })), "True Ready");
  });

  it("is the same at the next look while nothing changes, settled or blocked", () => {
    const later = (seen: Observed, ms: number): Observed => ({
      ...seen,
      view: seen.view && {
        ...seen.view,
        stores: seen.view.stores.map((store) =>
          store.state === "up" ? store : { ...store, heartbeatMsAgo: store.heartbeatMsAgo + ms },
        ),
      },
      wallMs: seen.wallMs + ms,
    });
    const silent = pdStore(2, { state: "down", heartbeatMsAgo: 400_000 });
    const pending: ProcessState = {
      kind: "pending",
      sinceMs: 0,
      cause: "volume",
      why: "no default StorageClass: set one",
    };
    const crashing = { ...KILLED, failures: 9, failingSinceMs: 0, restartsByItself: true } as ProcessState;
    const cases: readonly (readonly [Observed, DesiredCluster])[] = [
      [observed(), wanted()],
      [observed({ stores: [record(0), record(1), record(2, { process: pending })] }), wanted()],
      [observed({ stores: [record(0), record(1), record(2, { process: crashing })] }), wanted({ maxReplacements: 0 })],
      [
        observed({
          stores: [record(0), record(1), record(2, { process: DISK_LOST })],
          view: view({ stores: [pdStore(0), pdStore(1), silent] }),
        }),
        wanted({ maxReplacements: 0 }),
      ],
    ];
    for (const [seen, desired] of cases) {
      const first = plan(seen, desired, NOW);
      const second = plan(later(seen, 61_000), desired, NOW + 61_000);
      assert.deepEqual([second.status, second.blocked], [first.status, first.blocked]);
    }
  });

  it("shows what cannot begin to run as Pending and Blocked, with the fix", () => {
    const process: ProcessState = {
      kind: "pending",
      sinceMs: 0,
      cause: "image",
      why: "image x cannot be pulled: set another",
    };
    const seen = observed({ stores: [record(0), record(1), record(2, { process })] });
    assert.equal(plan(seen, wanted(), NOW).status.stores[2]?.state, "Pending");
    assert.match(blockedOf(seen), /demo-store-2: image x cannot be pulled: set another/);
    assert.equal(conditionOf(seen, "Blocked"), "True Held");
  });
});
