import assert from "node:assert/strict";
import type { Host, Observed, PdStore, ProcessState, StoreRecord } from "./observed.js";
import {
  DISK_LOST,
  FAILING,
  KILLED,
  NOW,
  RUNNING,
  actionsOf,
  observed,
  pdStore,
  record,
  region,
  view,
  wanted,
} from "./plan-fixture.js";

/** What PD says of the store. */
const PD = {
  unknown: undefined,
  up: {},
  silent: { state: "down", heartbeatMsAgo: 400_000 },
  draining: { state: "draining" },
  drained: { state: "draining", regionCount: 0, drainedRatio: 1 },
  tombstone: { state: "tombstone", regionCount: 0, heartbeatMsAgo: 9_000 },
} satisfies Record<string, Partial<PdStore> | undefined>;

const LOST: Host = { name: "h3", state: "notReady", sinceMs: NOW - 400_000, isCordoned: false, labels: {} };
const pending = (cause: "unschedulable" | "image", more: { outdated?: string } = {}): ProcessState => ({
  ...{ kind: "pending", sinceMs: NOW - 400_000, cause, why: "it waits" },
  ...more,
});

/** What the platform says of it. */
const POD = {
  running: { process: RUNNING },
  killed: { process: KILLED },
  crashing: { process: { ...FAILING, failingSinceMs: NOW - 60_000, restartsByItself: true } as ProcessState },
  failing: { process: FAILING },
  stopped: { process: { kind: "stopped" } },
  stopping: { process: { kind: "stopping", sinceMs: NOW - 100 } },
  unschedulable: { process: pending("unschedulable") },
  badImage: { process: pending("image") },
  mended: { process: pending("image", { outdated: "image bad -> good" }) },
  hostLost: { process: RUNNING, host: LOST },
  hostLostStopping: { process: { kind: "stopping", sinceMs: NOW - 100 }, host: LOST },
  diskLost: { process: DISK_LOST },
  volumeGoing: { process: RUNNING, directory: "terminating" },
  volumeGoingStopped: { process: { kind: "stopped" }, directory: "terminating" },
} satisfies Record<string, Partial<StoreRecord>>;

type Wanted = "keep" | "leave" | "mark";
type Cell = readonly [pd: keyof typeof PD, pod: keyof typeof POD, keep: string, leave: string, mark: string];

/**
 * The plan for the store x among four, where x leads nothing: 4 stores are wanted (keep), 3 (leave), 4 and x is marked by its user (mark). Other
 * stores serve. `add` is the store that takes its place.
 */
// prettier-ignore
const CELLS: readonly Cell[] = [
  // PD, platform, keep, leave, mark
  ["unknown", "running", "", "", "add next"],
  ["unknown", "killed", "start x", "delete the data of x", "delete the data of x; add next"],
  ["unknown", "crashing", "", "delete the data of x", "delete the data of x; add next"],
  ["unknown", "failing", "start x", "delete the data of x", "delete the data of x; add next"],
  ["unknown", "stopped", "start x", "start x", "start x; add next"],
  ["unknown", "stopping", "", "", "add next"],
  ["unknown", "unschedulable", "", "delete the data of x", "delete the data of x; add next"],
  ["unknown", "badImage", "", "delete the data of x", "delete the data of x; add next"],
  ["unknown", "mended", "restart x", "delete the data of x", "delete the data of x; add next"],
  ["unknown", "hostLost", "add next", "", "add next"],
  ["unknown", "hostLostStopping", "add next", "", "add next"],
  ["unknown", "diskLost", "delete the data of x; add next", "delete the data of x", "delete the data of x; add next"],
  ["unknown", "volumeGoing", "", "", "add next"],
  ["unknown", "volumeGoingStopped", "start x", "start x", "start x; add next"],
  ["up", "running", "", "drain x", "add next"],
  ["up", "killed", "start x", "start x", "start x; add next"],
  ["up", "crashing", "", "drain x", "add next"],
  ["up", "failing", "start x", "start x; drain x", "start x; add next"],
  ["up", "stopped", "start x", "start x", "start x; add next"],
  ["up", "stopping", "", "", "add next"],
  ["up", "unschedulable", "", "drain x", "add next"],
  ["up", "badImage", "", "drain x", "add next"],
  ["up", "mended", "restart x", "drain x; restart x", "add next; restart x"],
  ["up", "hostLost", "", "drain x", "add next"],
  ["up", "hostLostStopping", "", "drain x", "add next"],
  ["up", "diskLost", "tell pd that the disk of x is lost; add next", "tell pd that the disk of x is lost", "tell pd that the disk of x is lost; add next"],
  ["up", "volumeGoing", "add next", "drain x", "add next"],
  ["up", "volumeGoingStopped", "add next", "drain x", "add next"],
  ["silent", "running", "restart x", "restart x; drain x", "restart x; add next"],
  ["silent", "killed", "start x", "start x", "start x; add next"],
  ["silent", "crashing", "", "drain x", "add next"],
  ["silent", "failing", "start x; add next", "start x", "start x; add next"],
  ["silent", "stopped", "start x", "start x", "start x; add next"],
  ["silent", "stopping", "", "", "add next"],
  ["silent", "unschedulable", "", "drain x", "add next"],
  ["silent", "badImage", "", "drain x", "add next"],
  ["silent", "mended", "restart x", "drain x; restart x", "add next; restart x"],
  ["silent", "hostLost", "add next", "", "add next"],
  ["silent", "hostLostStopping", "add next", "", "add next"],
  ["silent", "diskLost", "tell pd that the disk of x is lost; add next", "tell pd that the disk of x is lost", "tell pd that the disk of x is lost; add next"],
  ["silent", "volumeGoing", "add next", "drain x", "add next"],
  ["silent", "volumeGoingStopped", "add next", "drain x", "add next"],
  ["draining", "running", "cancel the drain of x", "", "add next"],
  ["draining", "killed", "start x; cancel the drain of x", "start x", "start x; add next"],
  ["draining", "crashing", "cancel the drain of x", "", "add next"],
  ["draining", "failing", "start x; cancel the drain of x", "start x", "start x; add next"],
  ["draining", "stopped", "start x; cancel the drain of x", "start x", "start x; add next"],
  ["draining", "stopping", "cancel the drain of x", "", "add next"],
  ["draining", "unschedulable", "cancel the drain of x", "", "add next"],
  ["draining", "badImage", "cancel the drain of x", "", "add next"],
  ["draining", "mended", "cancel the drain of x; restart x", "restart x", "add next; restart x"],
  ["draining", "hostLost", "cancel the drain of x", "", "add next"],
  ["draining", "hostLostStopping", "cancel the drain of x", "", "add next"],
  ["draining", "diskLost", "tell pd that the disk of x is lost; add next", "tell pd that the disk of x is lost", "tell pd that the disk of x is lost; add next"],
  ["draining", "volumeGoing", "add next", "", "add next"],
  ["draining", "volumeGoingStopped", "add next", "", "add next"],
  ["drained", "running", "cancel the drain of x", "remove x", "remove x; add next"],
  ["drained", "killed", "start x; cancel the drain of x", "start x; remove x", "start x; remove x; add next"],
  ["drained", "crashing", "cancel the drain of x", "remove x", "remove x; add next"],
  ["drained", "failing", "start x; cancel the drain of x", "start x; remove x", "start x; remove x; add next"],
  ["drained", "stopped", "start x; cancel the drain of x", "start x; remove x", "start x; remove x; add next"],
  ["drained", "stopping", "cancel the drain of x", "remove x", "remove x; add next"],
  ["drained", "unschedulable", "cancel the drain of x", "remove x", "remove x; add next"],
  ["drained", "badImage", "cancel the drain of x", "remove x", "remove x; add next"],
  ["drained", "mended", "cancel the drain of x; restart x", "remove x; restart x", "remove x; add next; restart x"],
  ["drained", "hostLost", "cancel the drain of x", "remove x", "remove x; add next"],
  ["drained", "hostLostStopping", "cancel the drain of x", "remove x", "remove x; add next"],
  ["drained", "diskLost", "tell pd that the disk of x is lost; remove x; add next", "tell pd that the disk of x is lost; remove x", "tell pd that the disk of x is lost; remove x; add next"],
  ["drained", "volumeGoing", "remove x; add next", "remove x", "remove x; add next"],
  ["drained", "volumeGoingStopped", "remove x; add next", "remove x", "remove x; add next"],
  ["tombstone", "running", "stop x; add next", "stop x", "stop x; add next"],
  ["tombstone", "killed", "delete the data of x; add next", "delete the data of x", "delete the data of x; add next"],
  ["tombstone", "crashing", "delete the data of x; add next", "delete the data of x", "delete the data of x; add next"],
  ["tombstone", "failing", "delete the data of x; add next", "delete the data of x", "delete the data of x; add next"],
  ["tombstone", "stopped", "delete the data of x; add next", "delete the data of x", "delete the data of x; add next"],
  ["tombstone", "stopping", "add next", "", "add next"],
  ["tombstone", "unschedulable", "delete the data of x; add next", "delete the data of x", "delete the data of x; add next"],
  ["tombstone", "badImage", "delete the data of x; add next", "delete the data of x", "delete the data of x; add next"],
  ["tombstone", "mended", "delete the data of x; add next", "delete the data of x", "delete the data of x; add next"],
  ["tombstone", "hostLost", "stop x; add next", "stop x", "stop x; add next"],
  ["tombstone", "hostLostStopping", "delete the data of x; add next", "delete the data of x", "delete the data of x; add next"],
  ["tombstone", "diskLost", "delete the data of x; add next", "delete the data of x", "delete the data of x; add next"],
  ["tombstone", "volumeGoing", "stop x; add next", "stop x", "stop x; add next"],
  ["tombstone", "volumeGoingStopped", "delete the data of x; add next", "delete the data of x", "delete the data of x; add next"],
];

function seenWith(pd: keyof typeof PD, pod: keyof typeof POD, mark: boolean): Observed {
  const entry: Partial<PdStore> | undefined = PD[pd];
  const isDraining = entry?.state === "draining";
  const known = entry !== undefined;
  const x = record(3, { initialised: known, drainedByOperator: isDraining, wantsDrain: mark, ...POD[pod] });
  return observed({
    stores: [record(0), record(1), record(2), x],
    nextOrdinal: 4,
    view: view({
      stores: [0, 1, 2]
        .map((i) => pdStore(i))
        .concat(known ? [pdStore(3, { regionCount: 1, leaderCount: 0, ...entry })] : []),
      regions: [region(5, [0, 1, 2]), ...(known && entry.regionCount !== 0 ? [region(6, [1, 2, 3])] : [])],
    }),
  });
}

/** Replacements of peers depend on the regions and are tested elsewhere. */
function planOf(pd: keyof typeof PD, pod: keyof typeof POD, what: Wanted): string {
  return actionsOf(seenWith(pd, pod, what === "mark"), wanted({ storeReplicas: what === "leave" ? 3 : 4 }))
    .filter((action) => !action.startsWith("region "))
    .map((action) =>
      action.replace("demo-store-3", "x").replace("demo-store-4", "next").replace(" from the cluster", ""),
    )
    .join("; ");
}

describe("plan for one store, by what is wanted, what PD says and what the platform says", () => {
  it("has a cell for each", () => {
    assert.equal(CELLS.length, Object.keys(PD).length * Object.keys(POD).length);
    assert.equal(new Set(CELLS.map(([pd, pod]) => `${pd} ${pod}`)).size, CELLS.length);
  });

  for (const [pd, pod, keep, leave, mark] of CELLS) {
    it(`does what it must with a store that is ${pd} and ${pod}`, () => {
      const plans = { keep: planOf(pd, pod, "keep"), leave: planOf(pd, pod, "leave"), mark: planOf(pd, pod, "mark") };
      assert.deepEqual(plans, { keep, leave, mark });
    });
  }
});
