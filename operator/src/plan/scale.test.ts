import assert from "node:assert/strict";
import type { Host, Observed, PdStore, ProcessState, StoreRecord } from "./observed.js";
import {
  DISK_LOST,
  FAILING,
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

/** A process that has ended five times within a minute; its next start is due. */
const CRASHING: ProcessState = { ...FAILING, failures: 5, failingSinceMs: NOW - 60_000 } as ProcessState;

describe("plan of scaling", () => {
  const four = [record(0), record(1), record(2), record(3)];
  const pdFour = [pdStore(0), pdStore(1), pdStore(2), pdStore(3)];

  it("adds one store at a time and never uses an ordinal again", () => {
    const stores = [...view().stores, pdStore(7, { state: "tombstone" })];
    assert.deepEqual(actionsOf(observed({ view: view({ stores }) }), wanted({ storeReplicas: 5 })), [
      "add demo-store-8",
    ]);
  });

  it("adds the next store when the one before has registered", () => {
    const joining = record(3, { initialised: false });
    const seen = observed({ stores: [record(0), record(1), record(2), joining], nextOrdinal: 4 });
    assert.deepEqual(actionsOf(seen, wanted({ storeReplicas: 5 })), []);
    assert.match(
      blockedOf(seen, wanted({ storeReplicas: 5 })),
      /the next store is added when demo-store-3 has registered/,
    );
    const registered = { ...seen, view: view({ stores: pdFour }) };
    assert.deepEqual(actionsOf(registered, wanted({ storeReplicas: 5 })), ["add demo-store-4"]);
  });

  it("cancels its own drains before it adds", () => {
    const seen = observed({
      stores: [record(0), record(1), record(2), record(3, { drainedByOperator: true })],
      nextOrdinal: 4,
      view: view({ stores: [...pdFour.slice(0, 3), pdStore(3, { state: "draining" })] }),
    });
    assert.deepEqual(actionsOf(seen, wanted({ storeReplicas: 5 })), [
      "cancel the drain of demo-store-3",
      "add demo-store-4",
    ]);
  });

  it("does not remove an empty store while PD has a doubt", () => {
    const stores = [...pdFour.slice(0, 3), pdStore(3, { state: "draining", regionCount: 0, drainBlocked: "a hole" })];
    const seen = { stores: [0, 1, 2, 3].map((i) => record(i)), nextOrdinal: 4, view: view({ stores }) };
    assert.deepEqual(actionsOf(observed(seen)), []);
  });

  it("leaves a user's drain alone, makes up for it, and removes the store once it is empty", () => {
    const drainedBy = (regionCount: number) =>
      observed({
        stores: four,
        nextOrdinal: 4,
        view: view({
          stores: [...pdFour.slice(0, 2), pdStore(2, { state: "draining", regionCount }), pdStore(3)],
          regions: [region(5, regionCount > 0 ? [0, 1, 2] : [0, 1, 3])],
        }),
      });
    assert.deepEqual(actionsOf(drainedBy(1), wanted({ storeReplicas: 4 })), ["add demo-store-4"]);
    assert.deepEqual(actionsOf(drainedBy(1)), []);
    assert.deepEqual(actionsOf(drainedBy(0)), ["remove demo-store-2 from the cluster"]);
  });

  const victims: readonly (readonly [
    why: string,
    change: Partial<Record<number, Partial<PdStore> | "failing">>,
    victim: number,
  ])[] = [
    ["the highest ordinal among equals", {}, 3],
    ["the store with the fewest regions", { 1: { regionCount: 1 } }, 1],
    ["a store that does not run, whatever it has", { 1: { regionCount: 1 }, 0: "failing" }, 0],
  ];
  for (const [why, change, victim] of victims) {
    it(`drains ${why}`, () => {
      const seen = observed({
        stores: four.map((store) => (change[store.ordinal] === "failing" ? { ...store, process: CRASHING } : store)),
        nextOrdinal: 4,
        view: view({
          stores: pdFour.map((store, ordinal) => {
            const own = change[ordinal];
            return own === undefined || own === "failing" ? store : { ...store, ...own };
          }),
        }),
      });
      assert.ok(actionsOf(seen).includes(`drain demo-store-${victim}`));
    });
  }

  it("refuses a drain that would leave fewer live stores than peers per region, with the arithmetic", () => {
    const stores = [record(0), record(1), record(2), record(3, { process: CRASHING })];
    const seen = observed({
      stores,
      view: view({ stores: [...pdFour.slice(0, 3), pdStore(3, { heartbeatMsAgo: 10_000, regionCount: 9 })] }),
    });
    assert.deepEqual(actionsOf(seen), ["start demo-store-3", "drain demo-store-3"]); // it does not serve: 3 - 0 = 3
    assert.deepEqual(actionsOf(seen, wanted({ storeReplicas: 3, regionReplicas: 5 })).slice(-1), [
      "set the configuration of pd",
    ]);
    assert.match(
      blockedOf(seen, wanted({ regionReplicas: 5 })),
      /demo-store-3 is not drained: 3 live stores - 0 = 3, regions.replicas is 5/,
    );
  });

  it("drains one store at a time", () => {
    const seen = observed({
      stores: [...four, record(4, { drainedByOperator: true })],
      view: view({ stores: [...pdFour, pdStore(4, { state: "draining" })] }),
    });
    assert.deepEqual(actionsOf(seen), []);
    assert.match(blockedOf(seen), /the next store drains when demo-store-4 has gone/);
  });

  it("drains nothing while a store is dead", () => {
    const seen = observed({
      stores: [...four, record(4, { process: DISK_LOST })],
      view: view({
        stores: [...pdFour, pdStore(4, { diskLost: true })],
        regions: [region(5, [0, 1, 4], { reportedMsAgo: 60_000 })],
      }),
    });
    assert.deepEqual(actionsOf(seen), []);
    assert.match(blockedOf(seen), /no store drains while demo-store-4 is dead/);
  });

  it("adds as many stores at a time as it is allowed to", () => {
    const desired = wanted({ storeReplicas: 6, maxParallelScaleOut: 2 });
    assert.deepEqual(actionsOf(observed(), desired), ["add demo-store-3", "add demo-store-4"]);
    const joining = [record(0), record(1), record(2), record(3, { initialised: false })];
    assert.deepEqual(actionsOf(observed({ stores: joining, nextOrdinal: 4 }), desired), ["add demo-store-4"]);
  });

  const on = (zone: string, isCordoned = false): Host => ({
    ...{ name: zone, state: "ready", isCordoned },
    labels: { zone },
  });
  const zoned = (zones: readonly string[], changes: Partial<Record<number, Partial<StoreRecord>>> = {}): Observed =>
    observed({
      stores: zones.map((zone, i) => record(i, { host: on(zone), ...changes[i] })),
      nextOrdinal: 4,
      view: view({ stores: pdFour }),
    });
  for (const [why, seen, victim] of [
    ["from the fullest zone", zoned(["a", "a", "b", "c"]), 1],
    [
      "from the fullest zone, the store that does not run",
      zoned(["a", "a", "b", "c"], { 0: { process: CRASHING } }),
      0,
    ],
    [
      "a store that does not run where none that serves may go",
      zoned(["a", "a", "b", "c"], { 2: { process: CRASHING } }),
      2,
    ],
    ["the store that its user marked", zoned(["a", "b", "c", "d"], { 1: { removeFirst: true } }), 1],
    ["the store on a cordoned host among equals", zoned(["a", "b", "c", "d"], { 0: { host: on("a", true) } }), 0],
  ] as const) {
    it(`drains ${why}`, () => {
      assert.ok(actionsOf(seen).includes(`drain demo-store-${victim}`), actionsOf(seen).join("; "));
    });
  }

  it("does not choose while a store is only just starting: it may be back with all its data", () => {
    const starting = record(2, { process: { kind: "running", sinceMs: NOW - 500 } });
    const seen = observed({ stores: [record(0), record(1), starting, record(3)], view: view({ stores: pdFour }) });
    assert.deepEqual(actionsOf(seen), []);
    assert.match(blockedOf(seen), /a store drains when demo-store-2 is up/);
  });
});

describe("stores that their user wants replaced", () => {
  const marked = (ordinal: number, change: Partial<StoreRecord> = {}) =>
    record(ordinal, { wantsDrain: true, ...change });
  const seen = (stores: readonly StoreRecord[], known: readonly PdStore[]) =>
    observed({ stores, nextOrdinal: stores.length, view: view({ stores: known }) });
  const up = [0, 1, 2, 3].map((i) => pdStore(i));

  it("are made up for first, drained then, and removed", () => {
    assert.deepEqual(actionsOf(seen([record(0), record(1), marked(2)], up.slice(0, 3))), ["add demo-store-3"]);
    assert.deepEqual(actionsOf(seen([record(0), record(1), marked(2), record(3)], up)), ["drain demo-store-2"]);
    const drained = pdStore(2, { state: "draining", regionCount: 0 });
    const regions = [region(5, [0, 1, 3])];
    const gone = observed({
      stores: [record(0), record(1), marked(2, { drainedByOperator: true }), record(3)],
      view: view({ stores: [pdStore(0), pdStore(1), drained, pdStore(3)], regions }),
    });
    assert.deepEqual(actionsOf(gone), ["remove demo-store-2 from the cluster"]);
  });

  it("leave no more than maxReplacements at a time", () => {
    const all = seen([marked(0), marked(1), marked(2)], up.slice(0, 3));
    assert.deepEqual(actionsOf(all, wanted({ maxReplacements: 1 })), ["add demo-store-3"]);
    const next = seen([marked(0), marked(1), marked(2), record(3)], up);
    assert.deepEqual(actionsOf(next, wanted({ maxReplacements: 1 })), ["drain demo-store-0"]);
  });

  it("stay when the mark is taken back while they have much and the spare little", () => {
    const back = (regionsLeft: number, regionsOfSpare: number) =>
      actionsOf(
        seen(
          [record(0), record(1), record(2, { drainedByOperator: true }), record(3)],
          [
            pdStore(0, { regionCount: 9 }),
            pdStore(1, { regionCount: 9 }),
            pdStore(2, { state: "draining", regionCount: regionsLeft }),
            pdStore(3, { regionCount: regionsOfSpare }),
          ],
        ),
      );
    assert.deepEqual(back(8, 1), ["cancel the drain of demo-store-2"]);
    assert.deepEqual(back(4, 5), []);
  });
});
