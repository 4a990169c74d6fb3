import assert from "node:assert/strict";
import { RheaError, silentLogger } from "@rhea/common";
import type { Host, PdStore, StoreRecord } from "../../plan/index.js";
import { observed, pdStore, record, view } from "../../plan/plan-fixture.js";
import type { PdCalls } from "./deps.js";
import { syncLabels } from "./sync-labels.js";

function inZone(zone?: string): { readonly host: Host } {
  const labels = zone === undefined ? {} : { "topology.kubernetes.io/zone": zone };
  return { host: { name: "n", state: "ready", isCordoned: false, labels } };
}

/** Lets the labels be told; returns what was. */
async function tell(
  records: readonly StoreRecord[],
  known: readonly PdStore[],
  { ageMs = 0, error }: { ageMs?: number; error?: RheaError } = {},
) {
  const told: string[] = [];
  const setStoreLabels = (storeId: number, labels: Readonly<Record<string, string>>) => {
    told.push(`${storeId} ${JSON.stringify(labels)}`);
    return error === undefined ? Promise.resolve({}) : Promise.reject(error);
  };
  const pd = () => ({ setStoreLabels }) as unknown as PdCalls;
  const seen = observed({ stores: records, view: view({ stores: known, ageMs }) });
  const blocked = await syncLabels(seen, pd, silentLogger);
  return { told, blocked };
}

describe("zones of stores", () => {
  it("are told to PD where it has another one or none", async () => {
    const records = [record(0, inZone("a")), record(1, inZone("b")), record(2, inZone("c"))];
    const known = [pdStore(0), pdStore(1, { labels: { zone: "b", host: "n" } }), pdStore(2, { labels: { zone: "x" } })];
    const { told, blocked } = await tell(records, known);
    assert.deepEqual(told, ['10 {"zone":"a"}', '12 {"zone":"c"}']);
    assert.deepEqual(blocked, []);
  });

  it("are left as they are where nothing is known: no zone, no running process, no store in PD, no fresh view", async () => {
    const tombstone = pdStore(3, { state: "tombstone" });
    const records = [
      ...[record(0, inZone()), record(1, { ...inZone("a"), process: { kind: "stopped" } }), record(2, inZone("a"))],
      record(3, inZone("a")),
    ];
    const known = [pdStore(0, { labels: { zone: "z" } }), pdStore(1), tombstone];
    assert.deepEqual((await tell(records, known)).told, []);
    assert.deepEqual((await tell([record(0, inZone("a"))], [pdStore(0)], { ageMs: 6_000 })).told, []);
  });

  it("say what keeps them from being told, and try no further in this pass", async () => {
    const error = new RheaError("UNAVAILABLE", "broken");
    const records = [record(0, inZone("a")), record(1, inZone("b"))];
    const { told, blocked } = await tell(records, [pdStore(0), pdStore(1)], { error });
    assert.equal(told.length, 1);
    assert.deepEqual(blocked, [
      {
        object: "demo-store-0",
        reason: "its zone a cannot be told to PD, which places replicas by it: UNAVAILABLE: broken",
      },
    ]);
  });
});
