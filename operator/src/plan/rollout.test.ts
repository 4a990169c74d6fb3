import assert from "node:assert/strict";
import type { Host, Observed, PdStore, ProcessState, StoreRecord } from "./observed.js";
import {
  FAILING,
  NOW,
  RUNNING,
  actionsOf,
  blockedOf,
  observed,
  pdMember,
  pdRecord,
  pdStore,
  record,
  region,
  view,
  wanted,
} from "./plan-fixture.js";
import { plan } from "./plan.js";

const OLD: ProcessState = { ...RUNNING, outdated: "image v1 -> v2" } as ProcessState;
const YOUNG: ProcessState = { kind: "running", sinceMs: NOW - 5_000 };
const noImage = (outdated?: string): ProcessState => ({
  ...{ kind: "pending", sinceMs: NOW - 30_000, cause: "image", why: "image v2 cannot be pulled: set another" },
  ...(outdated === undefined ? {} : { outdated }),
});

/** Three stores: what the platform and PD say of each. */
function stores(...parts: readonly (readonly [Partial<StoreRecord>, Partial<PdStore>?])[]): Partial<Observed> {
  return {
    stores: parts.map(([change], i) => record(i, change)),
    view: view({ stores: parts.map(([, change], i) => pdStore(i, change ?? {})) }),
  };
}

describe("rollout over the stores", () => {
  it("first moves the leaders off one store", () => {
    assert.deepEqual(actionsOf(observed(stores([{ process: OLD }], [{ process: OLD }], [{}]))), [
      "move leaders off demo-store-0",
    ]);
  });

  for (const [what, leaderCount, evictLeadersMsLeft, action] of [
    ["waits while it leads", 1, 31_000, undefined],
    ["restarts it when it leads nothing", 0, 59_000, "restart demo-store-0"],
    ["restarts it after 30 s all the same", 1, 30_000, "restart demo-store-0"],
    ["asks again where PD has forgotten", 1, 0, "move leaders off demo-store-0"],
  ] as const) {
    it(what, () => {
      const seen = observed(stores([{ process: OLD }, { leaderCount, evictLeadersMsLeft }], [{ process: OLD }], [{}]));
      assert.deepEqual(actionsOf(seen), action === undefined ? [] : [action]);
    });
  }

  it("needs no lease where nobody else could lead", () => {
    const seen = observed({
      stores: [record(0, { process: OLD })],
      view: view({ stores: [pdStore(0)], regions: [region(5, [0])], config: { ...view().config, replicas: 1 } }),
    });
    assert.deepEqual(actionsOf(seen, wanted({ storeReplicas: 1, regionReplicas: 1 })), ["restart demo-store-0"]);
  });

  it("keeps the lease until the store serves again and every region is whole, and then takes the next", () => {
    const back = (leaseMs: number, isFullyReplicated: boolean, pendingPeerCount = 0): Observed => {
      const parts = stores(
        [{ process: YOUNG }, { evictLeadersMsLeft: leaseMs, pendingPeerCount }],
        [{ process: OLD }],
        [{}],
      );
      const regions = [region(5, [0, 1, 2], { isFullyReplicated })];
      return observed({ ...parts, view: { ...(parts.view ?? view()), regions } });
    };
    assert.deepEqual(actionsOf(back(50_000, false, 1)), []);
    assert.match(
      blockedOf(back(50_000, false, 1)),
      /demo-store-0: its peers are catching up; 1 more stores wait for it/,
    );
    assert.deepEqual(actionsOf(back(19_000, false, 1)), ["move leaders off demo-store-0"]);
    assert.deepEqual(actionsOf(back(50_000, true)), ["let demo-store-0 lead again"]);
    assert.deepEqual(actionsOf(back(0, true)), ["move leaders off demo-store-1"]);
  });

  it("does not begin, or go on, while a region is below full health because of others", () => {
    const parts = stores([{ process: OLD }, { leaderCount: 0, evictLeadersMsLeft: 59_000 }], [{}], [{}]);
    const short = region(5, [0, 1, 2], { isFullyReplicated: false, downPeerIds: [501] });
    const seen = observed({ ...parts, view: { ...(parts.view ?? view()), regions: [short] } });
    assert.deepEqual(actionsOf(seen), []);
    assert.match(blockedOf(seen), /image v1 -> v2 waits: 0 other stores do not serve, 1 of 1 regions are below full/);
    const two = region(5, [0, 1], { isFullyReplicated: false });
    assert.deepEqual(actionsOf({ ...seen, view: { ...(parts.view ?? view()), regions: [two] } }), []);
  });

  it("does not begin while PD's leader has not heard another store: a new leader takes the silent for live", () => {
    const seen = observed(stores([{ process: OLD }], [{}, { isConnected: false }], [{}]));
    assert.deepEqual(actionsOf(seen), []);
    assert.match(blockedOf(seen), /image v1 -> v2 waits: 1 other stores do not serve \(demo-store-1\)/);
  });

  it("stands still at a store that cannot start, with the fix, and is Stalled", () => {
    const seen = observed(
      stores(
        [{ process: noImage() }, { state: "disconnected", heartbeatMsAgo: 30_000, evictLeadersMsLeft: 50_000 }],
        [{ process: OLD }],
        [{}],
      ),
    );
    assert.deepEqual(actionsOf(seen), []);
    assert.match(
      blockedOf(seen),
      /demo-store-0: the rollout stands still: image v2 cannot be pulled: set another; 1 more/,
    );
    const { conditions } = plan(seen, wanted(), NOW).status;
    assert.equal(conditions.find(({ type }) => type === "Stalled")?.status, "True");
  });

  it("restarts the broken one first when the settings change again, though it is unwell", () => {
    const broken = { state: "disconnected", heartbeatMsAgo: 30_000 } as const;
    const seen = observed(stores([{ process: noImage("image v2 -> v3") }, broken], [{ process: OLD }], [{}]));
    assert.deepEqual(actionsOf(seen), ["restart demo-store-0"]);
  });

  it("does not touch those that already have what is wanted after a change of mind", () => {
    const broken = { state: "disconnected", heartbeatMsAgo: 30_000 } as const;
    const seen = observed(stores([{ process: noImage("image v2 -> v1") }, broken], [{}], [{}]));
    assert.deepEqual(actionsOf(seen), ["restart demo-store-0"]);
    const mended = observed(stores([{ process: YOUNG }, { evictLeadersMsLeft: 20_000 }], [{}], [{}]));
    assert.deepEqual(actionsOf(mended), ["let demo-store-0 lead again"]);
  });

  it("does not take a crash loop with new settings for a dead store while others have the old ones", () => {
    const crashing = { ...FAILING, restartsByItself: true } as ProcessState;
    const gone = { state: "down", heartbeatMsAgo: 400_000 } as const;
    const seen = observed(stores([{ process: crashing }, gone], [{ process: OLD }], [{}]));
    assert.deepEqual(actionsOf(seen), []);
    const alone = observed(stores([{ process: crashing }, gone], [{}], [{}]));
    assert.ok(actionsOf(alone).includes("add demo-store-3"));
  });

  it("never restarts a store whose volume would go with it", () => {
    const going = { process: OLD, directory: "terminating" } as const;
    const seen = observed(stores([going], [going], [{}]));
    assert.ok(actionsOf(seen, wanted({ maxReplacements: 1 })).every((action) => !action.startsWith("restart")));
  });
});

describe("leaders and cordoned hosts", () => {
  const host = (name: string, isCordoned: boolean): Host => ({ name, state: "ready", isCordoned, labels: {} });

  it("keeps leaders off one store after the other, and renews", () => {
    const cordoned = (first: Partial<PdStore>): Observed =>
      observed(stores([{ host: host("a", true) }, first], [{ host: host("b", true) }], [{ host: host("c", false) }]));
    assert.deepEqual(actionsOf(cordoned({})), ["move leaders off demo-store-0"]);
    assert.deepEqual(actionsOf(cordoned({ evictLeadersMsLeft: 50_000 })), []);
    assert.deepEqual(actionsOf(cordoned({ evictLeadersMsLeft: 50_000, leaderCount: 0 })), [
      "move leaders off demo-store-1",
    ]);
    assert.deepEqual(actionsOf(cordoned({ evictLeadersMsLeft: 19_000 })), ["move leaders off demo-store-0"]);
  });

  it("leaves them where they are when every store is on a cordoned host", () => {
    const all = stores([{ host: host("a", true) }], [{ host: host("b", true) }], [{ host: host("c", true) }]);
    assert.deepEqual(actionsOf(observed(all)), []);
  });

  it("does not call a cluster unready for that", () => {
    const seen = observed(stores([{ host: host("a", true) }], [{ host: host("b", false) }], [{}]));
    const { conditions } = plan(seen, wanted(), NOW).status;
    assert.equal(conditions.find(({ type }) => type === "Ready")?.status, "True");
  });
});

describe("rollout over PD", () => {
  const three = wanted({ pdReplicas: 3 });
  const members = (leader: number) => [0, 1, 2].map((i) => pdMember(i, { isLeader: i === leader }));
  const pds = (processes: readonly ProcessState[], leader: number, unhealthy?: number): Observed =>
    observed({
      pds: processes.map((process, i) => pdRecord(i, { process })),
      stores: [record(0, { process: OLD }), record(1), record(2)],
      view: view({ members: members(leader).map((it, i) => (i === unhealthy ? { ...it, isHealthy: false } : it)) }),
    });

  it("restarts followers first, one by one, then moves leadership, and stores come after", () => {
    assert.deepEqual(actionsOf(pds([OLD, OLD, OLD], 0), three), ["restart demo-pd-1"]);
    assert.deepEqual(actionsOf(pds([OLD, YOUNG, OLD], 0, 1), three), []);
    assert.deepEqual(actionsOf(pds([OLD, YOUNG, OLD], 0), three), ["restart demo-pd-2"]);
    assert.deepEqual(actionsOf(pds([OLD, YOUNG, YOUNG], 0), three), ["make demo-pd-1 the leader of pd"]);
    assert.deepEqual(actionsOf(pds([OLD, YOUNG, YOUNG], 1), three), ["restart demo-pd-0"]);
    assert.deepEqual(actionsOf(pds([YOUNG, YOUNG, YOUNG], 1), three), ["move leaders off demo-store-0"]);
  });

  it("stands still at a member that cannot start, and restarts it first when the settings change again", () => {
    assert.deepEqual(actionsOf(pds([OLD, noImage(), OLD], 0, 1), three), []);
    assert.match(blockedOf(pds([OLD, noImage(), OLD], 0, 1), three), /waits for demo-pd-1: image v2 cannot be pulled/);
    assert.deepEqual(actionsOf(pds([OLD, noImage("image v2 -> v3"), OLD], 0, 1), three), ["restart demo-pd-1"]);
  });

  it("restarts a single member at once", () => {
    const seen = observed({ pds: [pdRecord(0, { process: OLD })] });
    assert.deepEqual(actionsOf(seen), ["restart demo-pd-0"]);
  });
});
