import assert from "node:assert/strict";
import type { ProcessState } from "./observed.js";
import {
  DISK_LOST,
  FAILING,
  KILLED,
  NOW,
  actionsOf,
  blockedOf,
  observed,
  pdStore,
  record,
  region,
  view,
  wanted,
} from "./plan-fixture.js";

describe("plan of replacement", () => {
  const spare = { nextOrdinal: 4, stores: [record(0), record(1), record(2, { process: DISK_LOST }), record(3)] };
  const lostStores = [
    pdStore(0),
    pdStore(1),
    pdStore(2, { diskLost: true, state: "down" }),
    pdStore(3, { regionCount: 0 }),
  ];
  const withRegions = (...regions: ReturnType<typeof region>[]) =>
    observed({ ...spare, view: view({ stores: lostStores, regions }) });
  const replace = (id: number, to = 3) => `region ${id}: replace the peer on demo-store-2 by one on demo-store-${to}`;

  it("waits for no timeout when the disk is lost, and not at all for a store that may come back", () => {
    const lost = observed({ stores: [record(0), record(1), record(2, { process: DISK_LOST })] });
    assert.deepEqual(actionsOf(lost), ["tell pd that the disk of demo-store-2 is lost", "add demo-store-3"]);
    const killed = observed({ stores: [record(0), record(1), record(2, { process: KILLED })] });
    assert.deepEqual(actionsOf(killed), ["start demo-store-2"]);
  });

  for (const [what, heartbeatMsAgo, failingMs, isDead] of [
    ["both are over the limit", 300_000, 300_000, true],
    ["PD heard it a little later", 299_800, 300_000, false],
    ["it began to fail a little later", 300_000, 299_999, false],
  ] as const) {
    it(`${isDead ? "counts" : "does not count"} a silent store as dead when ${what}`, () => {
      const process: ProcessState = { ...FAILING, failingSinceMs: NOW - failingMs } as ProcessState;
      const seen = observed({
        stores: [record(0), record(1), record(2, { process })],
        view: view({ stores: [pdStore(0), pdStore(1), pdStore(2, { state: "down", heartbeatMsAgo })] }),
      });
      assert.equal(actionsOf(seen).includes("add demo-store-3"), isDead);
    });
  }

  it("asks for one peer per region on the new store, within the limit", () => {
    const regions = [region(5, [0, 1, 2]), region(6, [0, 1, 2]), region(7, [0, 1, 3]), region(8, [0, 1, 2])];
    assert.deepEqual(
      actionsOf(withRegions(...regions), wanted({ operationLimit: 4 })),
      [5, 6, 8].map((id) => replace(id)),
    );
    const two = { ...view().config, operationLimit: 2 };
    const seen = observed({ ...spare, view: view({ stores: lostStores, regions, config: two }) });
    assert.deepEqual(actionsOf(seen, wanted({ operationLimit: 2 })), [replace(5), replace(6)]);
  });

  it("counts its running operations against the limit and leaves their regions alone", () => {
    const seen = observed({
      ...spare,
      view: view({
        stores: lostStores,
        config: { ...view().config, operationLimit: 2 },
        regions: [region(5, [0, 1, 2]), region(6, [0, 1, 2]), region(7, [0, 1, 2])],
        operations: [
          {
            operationId: 1,
            regionId: 5,
            kind: "replace-peer",
            origin: "operator",
            isRunning: true,
            succeeded: false,
            finishedMsAgo: 0,
            fromStoreId: 11,
          },
        ],
      }),
    });
    assert.deepEqual(actionsOf(seen, wanted({ operationLimit: 2 })), [replace(6)]);
  });

  it("leaves a region alone for a while after a failed operation", () => {
    const failed = (finishedMsAgo: number) =>
      observed({
        ...spare,
        view: view({
          stores: lostStores,
          regions: [region(5, [0, 1, 2])],
          operations: [
            {
              operationId: 1,
              regionId: 5,
              kind: "replace-peer",
              origin: "operator",
              isRunning: false,
              succeeded: false,
              finishedMsAgo,
              fromStoreId: 11,
            },
          ],
        }),
      });
    assert.deepEqual(actionsOf(failed(4_000)), []);
    assert.deepEqual(actionsOf(failed(5_000)), [replace(5)]);
  });

  it("touches no region without a proven quorum, and says what is missing", () => {
    const seen = observed({
      nextOrdinal: 4,
      stores: [record(0), record(1, { process: KILLED }), record(2, { process: DISK_LOST }), record(3)],
      view: view({ stores: lostStores, regions: [region(5, [0, 1, 2])] }),
    });
    assert.deepEqual(actionsOf(seen), ["start demo-store-1"]);
    assert.match(
      blockedOf(seen),
      /region 5: its peer on demo-store-2 is not replaced: 1 of 3 voters answer, a quorum is 2/,
    );
  });

  it("does not count a peer that its leader calls down", () => {
    const seen = withRegions(region(5, [0, 1, 2], { downPeerIds: [501] }));
    assert.deepEqual(actionsOf(seen), []);
    assert.match(blockedOf(seen), /1 of 3 voters answer/);
  });

  it("does not act on an old report", () => {
    const seen = withRegions(region(5, [0, 1, 2], { reportedMsAgo: 45_000 }));
    assert.deepEqual(actionsOf(seen), []);
    assert.match(blockedOf(seen), /its last report is older than 45 s/);
  });

  it("waits for the new store where every live store has a peer already", () => {
    const seen = observed({
      stores: [record(0), record(1), record(2, { process: DISK_LOST }), record(3, { initialised: false })],
      view: view({ stores: lostStores.slice(0, 3), regions: [region(5, [0, 1, 2])] }),
    });
    assert.deepEqual(actionsOf(seen), []);
    assert.match(
      blockedOf(seen),
      /region 5: its peer on demo-store-2 waits for a store to move to: every one of the 2 live stores/,
    );
  });

  it("spreads over the live stores with the fewest regions", () => {
    const seen = observed({
      nextOrdinal: 5,
      stores: [...spare.stores, record(4)],
      view: view({
        stores: [...lostStores.slice(0, 3), pdStore(3, { regionCount: 1 }), pdStore(4, { regionCount: 0 })],
        regions: [region(5, [0, 1, 2]), region(6, [0, 1, 2]), region(7, [0, 1, 2])],
      }),
    });
    assert.deepEqual(actionsOf(seen, wanted({ storeReplicas: 4 })), [replace(5, 4), replace(6, 4), replace(7, 3)]);
  });

  it("removes the dead store when nothing is left on it, and then its data", () => {
    const gone = [...lostStores.slice(0, 2), pdStore(2, { diskLost: true, state: "down", regionCount: 0 }), pdStore(3)];
    const seen = observed({ ...spare, view: view({ stores: gone, regions: [region(5, [0, 1, 3])] }) });
    assert.deepEqual(actionsOf(seen), ["remove demo-store-2 from the cluster"]);
    const buried = [
      ...gone.slice(0, 2),
      pdStore(2, { diskLost: true, state: "tombstone", regionCount: 0 }),
      pdStore(3),
    ];
    const later = observed({ ...spare, view: view({ stores: buried, regions: [region(5, [0, 1, 3])] }) });
    assert.deepEqual(actionsOf(later), ["delete the data of demo-store-2"]);
  });

  it("drains the spare when the store comes back", () => {
    const back = [pdStore(0), pdStore(1), pdStore(2), pdStore(3, { regionCount: 1 })];
    const seen = observed({
      ...spare,
      stores: [record(0), record(1), record(2), record(3)],
      view: view({ stores: back }),
    });
    assert.deepEqual(actionsOf(seen), ["drain demo-store-3"]);
  });

  it("does not take a crash loop for a return", () => {
    const looping: ProcessState = { kind: "running", sinceMs: NOW - 1_000, failingSinceMs: NOW - 400_000 };
    const seen = observed({
      ...spare,
      stores: [record(0), record(1), record(2, { process: looping }), record(3)],
      view: view({
        stores: [pdStore(0), pdStore(1), pdStore(2, { state: "down", heartbeatMsAgo: 400_000 }), pdStore(3)],
        regions: [region(5, [0, 1, 3])],
      }),
    });
    assert.ok(!actionsOf(seen).some((action) => action.startsWith("drain")));
  });

  it("a dead store that holds nothing does not count towards maxReplacements: it may have been the replacement", () => {
    const stores = [record(0), record(1), record(2, { process: DISK_LOST }), record(3, { process: DISK_LOST })];
    const lost = { diskLost: true, state: "down" } as const;
    const known = [pdStore(0), pdStore(1), pdStore(2, lost), pdStore(3, { ...lost, regionCount: 0 })];
    const seen = observed({ stores, nextOrdinal: 4, view: view({ stores: known, regions: [region(5, [0, 1, 2])] }) });
    const actions = actionsOf(seen, wanted({ maxReplacements: 1 }));
    assert(actions.includes("add demo-store-4"), actions.join("; "));
    assert(actions.includes("remove demo-store-3 from the cluster"), actions.join("; "));
  });

  it("a dead store that is left alone does not take the place that the replaced one needs", () => {
    const stores = [record(0), record(1, { process: DISK_LOST }), record(2), record(3, { process: DISK_LOST })];
    const lost = { diskLost: true, state: "down" } as const;
    const known = [pdStore(0), pdStore(1, lost), pdStore(2), pdStore(3, lost)];
    const seen = observed({ stores, nextOrdinal: 4, view: view({ stores: known, regions: [region(5, [0, 1, 2])] }) });
    // Three are wanted and four are there, two of them dead: without a third live store region 5 would wait for ever.
    assert.deepEqual(actionsOf(seen, wanted({ storeReplicas: 3, maxReplacements: 1 })), ["add demo-store-4"]);
    assert.deepEqual(actionsOf(seen, wanted({ storeReplicas: 3, maxReplacements: 0 })), []);
  });

  it("goes on with the replacement that has begun when another store dies", () => {
    const stores = [
      record(0, { process: DISK_LOST }),
      record(1, { process: DISK_LOST }),
      record(2),
      record(3),
      record(4),
    ];
    const lost = { diskLost: true, state: "down" } as const;
    const running = {
      ...{ operationId: 1, regionId: 5, kind: "replace-peer", origin: "operator" },
      ...{ isRunning: true, succeeded: false, finishedMsAgo: 0, fromStoreId: 11 },
    };
    const known = [pdStore(0, lost), pdStore(1, lost), pdStore(2), pdStore(3), pdStore(4)];
    const regions = [region(5, [1, 2, 3]), region(6, [0, 2, 3]), region(7, [1, 2, 3])];
    const seen = observed({ stores, nextOrdinal: 5, view: view({ stores: known, regions, operations: [running] }) });
    const desired = wanted({ storeReplicas: 3, maxReplacements: 1 });
    assert.match(blockedOf(seen, desired), /demo-store-0: dead .*failover.maxReplacements is 1/);
    assert.match(actionsOf(seen, desired).join("; "), /region 7: .*demo-store-1/);
    assert.doesNotMatch(actionsOf(seen, desired).join("; "), /region 6/);
  });

  it("replaces no more than maxReplacements, lost disks first", () => {
    const seen = observed({
      stores: [record(0), record(1, { process: FAILING }), record(2, { process: DISK_LOST }), record(3), record(4)],
      nextOrdinal: 5,
      view: view({
        stores: [
          pdStore(0),
          pdStore(1, { state: "down", heartbeatMsAgo: 400_000 }),
          pdStore(2),
          pdStore(3),
          pdStore(4),
        ],
        regions: [region(5, [0, 3, 4])],
      }),
    });
    const desired = wanted({ storeReplicas: 5, maxReplacements: 1 });
    assert.deepEqual(actionsOf(seen, desired), [
      "start demo-store-1",
      "tell pd that the disk of demo-store-2 is lost",
      "add demo-store-5",
    ]);
    assert.match(blockedOf(seen, desired), /demo-store-1: dead .*failover.maxReplacements is 1/);
    assert.deepEqual(actionsOf(seen, wanted({ storeReplicas: 5, maxReplacements: 0 })), ["start demo-store-1"]);
  });
});
