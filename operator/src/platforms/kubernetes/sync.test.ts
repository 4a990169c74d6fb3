import assert from "node:assert/strict";
import { RESOURCES, type KubeObject, type PersistentVolumeClaim, type Resource } from "../../kube/index.js";
import type { MemberRecord, Observed, StoreRecord } from "../../plan/index.js";
import { STORES } from "./deps.js";
import { execute } from "./execute.js";
import { findHiddenClaims } from "./missing-claims.js";
import { makeFixture, type Fixture } from "./platform-fixture.js";
import { syncMembers } from "./sync-members.js";
import { syncObjects } from "./sync-objects.js";

const DISRUPTIONS = { disruptions: { storesMinAvailable: 2, pdMinAvailable: 2 } };

function record(name: string, ordinal: number, more: Partial<MemberRecord> = {}): MemberRecord {
  return { name, ordinal, initialised: false, process: { kind: "stopped" }, directory: "present", ...more };
}

function store(ordinal: number, more: Partial<StoreRecord> = {}): StoreRecord {
  const flags = { drainedByOperator: false, wantsDrain: false, removeFirst: false };
  return { ...record(`demo-store-${ordinal}`, ordinal), ...flags, ...more };
}

function observed(more: Partial<Observed> = {}): Observed {
  return { pds: [], stores: [], nextOrdinal: 0, nextPdOrdinal: 0, view: undefined, wallMs: 0, ...more };
}

function run(fixture: Fixture, action: Parameters<typeof execute>[1], seen: Observed = observed()): Promise<void> {
  const pd = () => assert.fail("PD is not asked");
  const deps = { caches: fixture.caches, settings: { defaultImage: "rhea:1" } };
  const { writer } = fixture;
  return execute({ deps, objects: fixture.objects(), observed: seen, writer, isCurrent: () => true, pd }, action);
}

const words = { reason: "", proof: "", undo: "" };
const addStore = { kind: "addStore", name: "demo-store-0", ordinal: 0, ...words } as const;
const startStore = { kind: "startStore", name: "demo-store-0", ...words } as const;
const deleteStore = { kind: "deleteStore", name: "demo-store-0", ...words } as const;

/** Changes an object as somebody else would. */
function edit<T extends KubeObject>(
  fixture: Fixture,
  resource: Resource<T>,
  name: string,
  change: (object: T) => T,
): void {
  const object = fixture.get(resource, name);
  assert.ok(object, `${resource.kind} ${name} is there`);
  fixture.put(resource, change(object));
}

describe("objects that follow from the spec", () => {
  it("are made once, and a second look writes nothing", async () => {
    const fixture = makeFixture();
    const sync = () => syncObjects(fixture.caches, fixture.objects(), observed(), DISRUPTIONS, fixture.writer);
    await sync();
    assert.deepEqual(fixture.writes.splice(0).sort(), [
      "apply networkpolicies demo",
      "apply poddisruptionbudgets demo-pd",
      "apply poddisruptionbudgets demo-stores",
      "apply services demo-pd",
      "apply services demo-stores",
    ]);
    edit(fixture, RESOURCES.services, "demo-pd", (service) => ({
      ...service,
      spec: { ...service.spec, clusterIPs: ["None"], sessionAffinity: "None" }, // as the API server fills in
    }));
    await sync();
    assert.deepEqual(fixture.writes, []);
  });

  it("are set right when somebody has changed them", async () => {
    const fixture = makeFixture();
    const sync = () => syncObjects(fixture.caches, fixture.objects(), observed(), DISRUPTIONS, fixture.writer);
    await sync();
    fixture.writes.splice(0);
    edit(fixture, RESOURCES.services, "demo-stores", (service) => ({
      ...service,
      spec: { ...service.spec, selector: { ...service.spec?.selector, x: "y" } },
    }));
    edit(fixture, RESOURCES.podDisruptionBudgets, "demo-pd", (budget) => ({
      ...budget,
      spec: { ...budget.spec, minAvailable: 0 },
    }));
    await sync();
    assert.deepEqual(fixture.writes, ["apply services demo-stores", "apply poddisruptionbudgets demo-pd"]);
  });

  it("lose the network policy when it is switched off", async () => {
    const fixture = makeFixture({ networkPolicy: { enabled: false } });
    fixture.put(RESOURCES.networkPolicies, { metadata: { name: "demo", namespace: "ns" } });
    await syncObjects(fixture.caches, fixture.objects(), observed(), DISRUPTIONS, fixture.writer);
    assert.ok(fixture.writes.includes("delete networkpolicies demo"));
  });
});

describe("objects of members", () => {
  it("are made in the order record, volume, pod; a second time nothing is", async () => {
    const fixture = makeFixture();
    await run(fixture, addStore);
    assert.deepEqual(fixture.writes.splice(0), [
      "create rheastores demo-store-0",
      "create persistentvolumeclaims data-demo-store-0",
      "create pods demo-store-0",
    ]);
    await run(fixture, addStore, observed({ stores: [store(0)] }));
    assert.deepEqual(fixture.writes, []);
  });

  it("never get a new volume once they have served", async () => {
    const fixture = makeFixture();
    const seen = observed({ stores: [store(0, { initialised: true, directory: "missing" })] });
    await assert.rejects(run(fixture, startStore, seen), { code: "DISK_LOST" });
    assert.deepEqual(fixture.writes, []);
  });

  it("wait for a volume that is on its way out", async () => {
    const fixture = makeFixture();
    await run(fixture, addStore);
    fixture.writes.splice(0);
    edit(fixture, RESOURCES.persistentVolumeClaims, "data-demo-store-0", (claim) => ({
      ...claim,
      metadata: { ...claim.metadata, deletionTimestamp: "2026-05-01T12:00:00Z" },
    }));
    await fixture.writer.remove(RESOURCES.pods, fixture.get(RESOURCES.pods, "demo-store-0") ?? {});
    fixture.writes.splice(0);
    await run(fixture, startStore, observed({ stores: [store(0, { directory: "terminating" })] }));
    assert.deepEqual(fixture.writes, []);
  });

  it("are deleted pod first and record last, when all else is gone", async () => {
    const fixture = makeFixture();
    await run(fixture, addStore);
    fixture.writes.splice(0);
    const finalizers = ["kubernetes.io/pvc-protection"];
    edit(fixture, RESOURCES.persistentVolumeClaims, "data-demo-store-0", (claim) => ({
      ...claim,
      metadata: { ...claim.metadata, finalizers },
    }));
    const seen = observed({ stores: [store(0)] });
    await run(fixture, deleteStore, seen);
    const first = ["delete pods demo-store-0", "delete persistentvolumeclaims data-demo-store-0"];
    assert.deepEqual(fixture.writes.splice(0), first);
    await run(fixture, deleteStore, seen);
    assert.equal(fixture.writes.length, 0, "the volume is on its way: nothing is said twice");
    edit(fixture, RESOURCES.persistentVolumeClaims, "data-demo-store-0", () => claimOf("demo-store-0"));
    await run(fixture, deleteStore, seen);
    assert.equal(fixture.writes.at(-1), "delete rheastores demo-store-0");
  });

  it("remember that they have served, on the volume that proves it", async () => {
    const fixture = makeFixture();
    await run(fixture, addStore);
    fixture.writes.splice(0);
    const seen = observed({ stores: [store(0, { initialised: true })] });
    await syncMembers(fixture.caches, fixture.objects(), seen, fixture.writer);
    const claim = fixture.get(RESOURCES.persistentVolumeClaims, "data-demo-store-0");
    assert.equal(claim?.metadata?.annotations?.["rheakv.io/initialised"], "true");
    fixture.writes.splice(0);
    await syncMembers(fixture.caches, fixture.objects(), seen, fixture.writer);
    assert.deepEqual(fixture.writes, []);
  });

  it("get a record that was deleted back, with what the user had said left to the user", async () => {
    const fixture = makeFixture();
    await syncMembers(fixture.caches, fixture.objects(), observed({ stores: [store(4)] }), fixture.writer);
    assert.deepEqual(fixture.get(STORES, "demo-store-4")?.spec, { clusterName: "demo", ordinal: 4 });
  });

  it("change owners of volumes with the deletion policy, and nothing else", async () => {
    const fixture = makeFixture({ deletionPolicy: "Delete" });
    const retained = makeFixture();
    await run(fixture, addStore);
    const claim = fixture.get(RESOURCES.persistentVolumeClaims, "data-demo-store-0");
    assert.equal(claim?.metadata?.ownerReferences?.[0]?.uid, "cluster-1");
    retained.put(RESOURCES.persistentVolumeClaims, claim);
    await syncMembers(retained.caches, retained.objects(), observed({ stores: [store(0)] }), retained.writer);
    const after = retained.get(RESOURCES.persistentVolumeClaims, "data-demo-store-0");
    assert.deepEqual(after?.metadata?.ownerReferences, []);
    assert.deepEqual(after.spec, claim.spec);
  });

  it("grow where the StorageClass allows it, and say so where it does not", async () => {
    for (const allowVolumeExpansion of [true, false]) {
      const fixture = makeFixture({ stores: { replicas: 3, storage: { size: "20Gi" } } });
      fixture.put(RESOURCES.storageClasses, { metadata: { name: "c" }, provisioner: "x", allowVolumeExpansion });
      fixture.put(RESOURCES.persistentVolumeClaims, {
        metadata: { name: "data-demo-store-0", namespace: "ns", labels: labels("demo-store-0") },
        spec: { storageClassName: "c", resources: { requests: { storage: "10Gi" } } },
        status: { phase: "Bound" },
      });
      const seen = observed({ stores: [store(0)] });
      const blocked = await syncMembers(fixture.caches, fixture.objects(), seen, fixture.writer);
      const claim = fixture.get(RESOURCES.persistentVolumeClaims, "data-demo-store-0");
      assert.equal(claim?.spec?.resources?.requests?.["storage"], allowVolumeExpansion ? "20Gi" : "10Gi");
      assert.equal(blocked.length, allowVolumeExpansion ? 0 : 1);
    }
  });

  it("are not lost because somebody took the labels off a volume", async () => {
    const fixture = makeFixture();
    const key = { name: "data-demo-store-0", namespace: "ns" };
    fixture.put(RESOURCES.persistentVolumeClaims, { metadata: key, spec: {} });
    const objects = { ...fixture.objects(), claims: { pd: new Map(), store: new Map() } };
    const seen = observed({ stores: [store(0, { initialised: true, directory: "missing" })] });
    assert.equal(await findHiddenClaims(fixture, objects, seen, fixture.writer), true);
    assert.equal(fixture.objects().claims.store.has("data-demo-store-0"), true);
  });
});

function claimOf(member: string): PersistentVolumeClaim {
  return { metadata: { name: `data-${member}`, namespace: "ns", labels: labels(member) } };
}

function labels(member: string): Record<string, string> {
  return {
    "app.kubernetes.io/name": "rhea",
    "app.kubernetes.io/instance": "demo",
    "app.kubernetes.io/managed-by": "rhea-operator",
    "app.kubernetes.io/component": "store",
    "rheakv.io/cluster": "demo",
    "rheakv.io/store": member,
  };
}
