import assert from "node:assert/strict";
import type { PdStore, ProcessState } from "./observed.js";
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
});
