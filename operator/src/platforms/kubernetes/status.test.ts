import assert from "node:assert/strict";
import type { RheaClusterStatus } from "../../api/index.js";
import type { Blocked, Observed, Plan } from "../../plan/index.js";
import { CLUSTERS } from "./deps.js";
import { makeFixture } from "./platform-fixture.js";
import { clusterStatus } from "./status.js";
import { takeTime } from "./times.js";

const WALL = Date.parse("2026-05-01T12:00:00Z");

const observed: Observed = { pds: [], stores: [], nextOrdinal: 0, nextPdOrdinal: 0, view: undefined, wallMs: WALL };

function planOf(isReady: boolean, blocked: readonly Blocked[] = [], autoscale?: Plan["autoscale"]): Plan {
  const condition = (type: string, holds: boolean) => ({
    ...{ type, status: holds ? "True" : "False", reason: "Test", message: "", observedGeneration: 1 },
  });
  return {
    mode: "Reconcile",
    actions: [],
    blocked,
    status: {
      observedGeneration: 1,
      conditions: [condition("Ready", isReady), condition("Blocked", blocked.length > 0)],
      replicas: 3,
      pd: { ready: true, members: 1, list: [{ name: "demo-pd-0", state: "Up", ready: true }] },
      stores: [],
      plan: [],
    } as unknown as Plan["status"],
    disruptions: { storesMinAvailable: 2, pdMinAvailable: 0 },
    ...(autoscale === undefined ? {} : { autoscale }),
  };
}

/** The status at `seconds` after the beginning, where the API server has `live`. */
function statusAt(
  seconds: number,
  plan: Plan,
  live?: RheaClusterStatus,
  held: readonly Blocked[] = [],
): RheaClusterStatus {
  const fixture = makeFixture();
  const cluster = fixture.get(CLUSTERS, "demo");
  if (live !== undefined && cluster !== undefined) fixture.put(CLUSTERS, { ...cluster, status: live });
  return clusterStatus({
    ...{ objects: fixture.objects(), observed, plan, certificates: undefined },
    blocked: [...plan.blocked, ...held],
    times: takeTime({ monotonicMs: () => 5_000_000 + seconds * 1000, wallMs: () => WALL + seconds * 1000 }),
  });
}

function conditionOf(status: RheaClusterStatus, type: string) {
  return status.conditions?.find((condition) => condition.type === type);
}

describe("status of a cluster", () => {
  it("is the same as long as nothing happens, though time passes", () => {
    const blocked = [{ object: "demo-store-1", reason: "it waits", nextTryMs: 5_090_000 }];
    const plan = planOf(false, blocked, { wanted: 4, lowSinceMs: 5_000_000 });
    const first = statusAt(0, plan);
    assert.deepEqual(statusAt(30, plan, first), first);
  });

  it("keeps the time of a condition until its status changes", () => {
    const first = statusAt(0, planOf(true));
    assert.equal(conditionOf(first, "Ready")?.lastTransitionTime, "2026-05-01T12:00:00Z");
    const same = statusAt(60, planOf(true), first);
    assert.equal(conditionOf(same, "Ready")?.lastTransitionTime, "2026-05-01T12:00:00Z");
    const changed = statusAt(120, planOf(false), same);
    assert.equal(conditionOf(changed, "Ready")?.lastTransitionTime, "2026-05-01T12:02:00Z");
  });

  it("says since when something is held back, also when its numbers move", () => {
    const first = statusAt(0, planOf(false, [{ object: "demo-store-1", reason: "3 regions are left" }]));
    const later = statusAt(9, planOf(false, [{ object: "demo-store-1", reason: "2 regions are left" }]), first);
    assert.deepEqual(later.blocked, [
      { object: "demo-store-1", reason: "2 regions are left", since: "2026-05-01T12:00:00Z" },
    ]);
  });

  it("counts what the platform could not do as held back", () => {
    const status = statusAt(0, planOf(true), undefined, [{ object: "demo-ca", reason: "it is damaged" }]);
    assert.equal(conditionOf(status, "Blocked")?.status, "True");
    assert.match(conditionOf(status, "Blocked")?.message ?? "", /demo-ca: it is damaged/);
  });

  it("keeps the id of a PD member while PD does not answer: it proves that the member has served", () => {
    const live: RheaClusterStatus = {
      pd: { ready: true, list: [{ name: "demo-pd-0", id: 7, state: "Up", ready: true }] },
    };
    assert.equal(statusAt(0, planOf(false), live).pd?.list?.[0]?.id, 7);
  });

  it("has the selector of the stores, for the scale subresource", () => {
    assert.equal(statusAt(0, planOf(true)).selector, "rheakv.io/cluster=demo,app.kubernetes.io/component=store");
  });
});
