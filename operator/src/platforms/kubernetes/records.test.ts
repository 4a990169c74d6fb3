import assert from "node:assert/strict";
import { RESOURCES, type PersistentVolumeClaim, type Pod } from "../../kube/index.js";
import type { PdStore, PdView } from "../../plan/index.js";
import { labelsOf, type Component } from "../../specs/index.js";
import { CLUSTERS, STORES } from "./deps.js";
import { makeFixture, type Fixture } from "./platform-fixture.js";
import { nextOrdinal, pdRecords, storeRecords, type RecordSources } from "./records.js";
import { takeTime } from "./times.js";

function sources(fixture: Fixture, view?: PdView): RecordSources {
  const times = takeTime({ monotonicMs: () => 0, wallMs: () => 0 });
  return { objects: fixture.objects(), caches: fixture.caches, times, runs: new Map(), goneNodes: new Map(), view };
}

function viewOf(stores: readonly Partial<PdStore>[], members: readonly string[] = []): PdView {
  return {
    ...{ ageMs: 0, isBootstrapped: true, regions: [], operations: [] },
    config: {
      ...{ replicas: 3, repair: "operator", regionMaxBytes: 1, regionMaxKeys: 1 },
      operationLimit: 8,
      logLevel: "",
    },
    members: members.map((name, index) => ({
      ...{ memberId: index + 1, name, isLeader: index === 0, isVoter: true, isHealthy: true },
    })),
    stores: stores.map((store, index) => ({
      ...{
        storeId: index + 1,
        name: `demo-store-${index}`,
        state: "up",
        heartbeatMsAgo: 0,
        isConnected: true,
        regionCount: 0,
      },
      ...{ leaderCount: 0, pendingPeerCount: 0, drainedRatio: 0, drainBlocked: "", diskLost: false, usedBytes: 0 },
      ...{ evictLeadersMsLeft: 0, drainOrigin: "", labels: {} },
      ...store,
    })),
  };
}

const metadata = (name: string, component: Component, member: string) => ({
  ...{ name, namespace: "ns", labels: labelsOf({ name: "demo" }, component, member) },
});
const claim = (member: string, more: Partial<PersistentVolumeClaim> = {}): PersistentVolumeClaim => ({
  metadata: metadata(`data-${member}`, "store", member),
  status: { phase: "Bound" },
  ...more,
});
const pod = (member: string, more: Partial<Pod> = {}): Pod => ({
  metadata: metadata(member, "store", member),
  ...more,
});
const names = (records: readonly { readonly name: string }[]) => records.map(({ name }) => name);

describe("records of stores", () => {
  it("are made of whatever bears a store's name, in the order of ordinals", () => {
    const fixture = makeFixture();
    fixture.put(STORES, {
      metadata: { name: "demo-store-10", namespace: "ns" },
      spec: { clusterName: "demo", ordinal: 10 },
    });
    fixture.put(RESOURCES.persistentVolumeClaims, claim("demo-store-2"));
    fixture.put(RESOURCES.pods, pod("demo-store-1"));
    const view = viewOf([{ name: "demo-store-0" }, { name: "demo-store-7", state: "tombstone" }]);
    assert.deepEqual(names(storeRecords(sources(fixture, view))), [
      ...["demo-store-0", "demo-store-1", "demo-store-2", "demo-store-10"],
    ]);
  });

  it("leave other clusters and strangers out", () => {
    const fixture = makeFixture();
    fixture.put(STORES, {
      metadata: { name: "demo2-store-0", namespace: "ns" },
      spec: { clusterName: "demo2", ordinal: 0 },
    });
    fixture.put(RESOURCES.pods, { metadata: { ...metadata("demo-store-1", "store", "x"), namespace: "other" } });
    assert.deepEqual(storeRecords(sources(fixture)), []);
  });

  it("take any proof that a store has served", () => {
    const proofs: readonly ((fixture: Fixture) => PdView | undefined)[] = [
      (fixture) => {
        const annotations = { "rheakv.io/initialised": "true" };
        fixture.put(RESOURCES.persistentVolumeClaims, {
          metadata: { ...metadata("data-demo-store-0", "store", "demo-store-0"), annotations },
        });
        return undefined;
      },
      (fixture) => {
        const spec = { clusterName: "demo", ordinal: 0 };
        fixture.put(STORES, {
          metadata: { name: "demo-store-0", namespace: "ns" },
          spec,
          status: { initialised: true },
        });
        return undefined;
      },
      (fixture) => {
        fixture.put(
          RESOURCES.pods,
          pod("demo-store-0", { status: { conditions: [{ type: "Ready", status: "True" }] } }),
        );
        return undefined;
      },
      () => viewOf([{ name: "demo-store-0" }]),
    ];
    for (const prove of proofs) {
      const fixture = makeFixture();
      fixture.put(RESOURCES.persistentVolumeClaims, claim("demo-store-0"));
      const view = prove(fixture);
      assert.equal(storeRecords(sources(fixture, view))[0]?.initialised, true, String(prove));
    }
    const fresh = makeFixture();
    fresh.put(RESOURCES.persistentVolumeClaims, claim("demo-store-0"));
    assert.equal(storeRecords(sources(fresh))[0]?.initialised, false);
  });

  it("have served also if the log's volume, which says so, is all that is left", () => {
    const fixture = makeFixture({ stores: { replicas: 3, logStorage: { size: "1Gi" } } });
    const left = {
      ...metadata("log-demo-store-3", "store", "demo-store-3"),
      annotations: { "rheakv.io/initialised": "true" },
    };
    fixture.put(RESOURCES.persistentVolumeClaims, { metadata: left, status: { phase: "Bound" } });
    const [record] = storeRecords(sources(fixture));
    assert.deepEqual([record?.name, record?.initialised], ["demo-store-3", true]);
  });

  it("tell a volume that is there from one that goes and one that is lost", () => {
    const cases = [
      { claims: [claim("demo-store-0")], directory: "present" },
      { claims: [], directory: "missing" },
      { claims: [claim("demo-store-0", { status: { phase: "Lost" } })], directory: "missing" },
      {
        claims: [
          claim("demo-store-0", {
            metadata: {
              ...metadata("data-demo-store-0", "store", "demo-store-0"),
              deletionTimestamp: "2026-01-01T00:00:00Z",
            },
          }),
        ],
        directory: "terminating",
      },
    ] as const;
    for (const { claims, directory } of cases) {
      const fixture = makeFixture();
      fixture.put(RESOURCES.pods, pod("demo-store-0"));
      for (const each of claims) fixture.put(RESOURCES.persistentVolumeClaims, each);
      assert.equal(storeRecords(sources(fixture))[0]?.directory, directory);
    }
  });

  it("know the node of a store that has no pod by the volume that is tied to it", () => {
    const fixture = makeFixture();
    fixture.put(RESOURCES.persistentVolumeClaims, claim("demo-store-0", { spec: { volumeName: "pv-1" } }));
    const term = { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: ["node-2"] }] };
    fixture.put(RESOURCES.persistentVolumes, {
      metadata: { name: "pv-1" },
      spec: { nodeAffinity: { required: { nodeSelectorTerms: [term] } } },
    });
    assert.deepEqual(storeRecords(sources(fixture))[0]?.host, {
      name: "node-2",
      state: "gone",
      sinceMs: 0,
      isCordoned: false,
      labels: {},
    });
    const labels = { "kubernetes.io/hostname": "node-2" };
    const conditions = [{ type: "Ready", status: "Unknown" }];
    fixture.put(RESOURCES.nodes, {
      metadata: { name: "node-2", labels },
      spec: { unschedulable: true },
      status: { conditions },
    });
    const host = storeRecords(sources(fixture))[0]?.host;
    assert.deepEqual([host?.state, host?.isCordoned], ["notReady", true]);
  });

  it("are drained by the operator only where PD says that it asked", () => {
    for (const drainOrigin of ["operator", "user"]) {
      const view = viewOf([{ state: "draining", drainOrigin }]);
      const [record] = storeRecords(sources(makeFixture(), view));
      assert.equal(record?.drainedByOperator, drainOrigin === "operator");
    }
  });
});

describe("records of PD members", () => {
  it("hold a member of which only the status is left: it has served", () => {
    const fixture = makeFixture();
    const cluster = fixture.get(CLUSTERS, "demo");
    assert.ok(cluster);
    const list = [{ name: "demo-pd-0", id: 1, state: "Down" as const, ready: false }];
    fixture.put(CLUSTERS, { ...cluster, status: { pd: { ready: false, list } } });
    const [record] = pdRecords(sources(fixture));
    assert.deepEqual([record?.name, record?.initialised, record?.directory], ["demo-pd-0", true, "missing"]);
  });

  it("forget a member that PD has let go of", () => {
    const fixture = makeFixture();
    const cluster = fixture.get(CLUSTERS, "demo");
    assert.ok(cluster);
    const list = [{ name: "demo-pd-0", id: 1, state: "Down" as const, ready: false }];
    fixture.put(CLUSTERS, { ...cluster, status: { pd: { ready: false, list } } });
    assert.deepEqual(names(pdRecords(sources(fixture, viewOf([], ["demo-pd-1"])))), ["demo-pd-1"]);
  });
});

describe("ordinals", () => {
  it("are above all that were ever given out, as far as anything remembers them", () => {
    const fixture = makeFixture();
    assert.equal(nextOrdinal(sources(fixture), "store"), 0);
    fixture.put(RESOURCES.persistentVolumeClaims, claim("demo-store-3"));
    assert.equal(nextOrdinal(sources(fixture), "store"), 4);
    assert.equal(nextOrdinal(sources(fixture, viewOf([{ name: "demo-store-8", state: "tombstone" }])), "store"), 9);
    const annotations = { "rheakv.io/next-ordinal": "12" };
    fixture.put(RESOURCES.services, { metadata: { name: "demo-stores", namespace: "ns", annotations } });
    assert.equal(nextOrdinal(sources(fixture), "store"), 12);
    assert.equal(nextOrdinal(sources(fixture), "pd"), 0);
  });
});

describe("objects of an earlier cluster of the same name", () => {
  it("are on their way out: neither its volumes nor its pods are taken over", () => {
    const fixture = makeFixture();
    const owner = { apiVersion: "rheakv.io/v1alpha1", kind: "RheaCluster", name: "demo", uid: "cluster-0" };
    const member = "demo-store-0";
    const ownerReferences = [owner];
    fixture.put(RESOURCES.persistentVolumeClaims, {
      metadata: { ...metadata(`data-${member}`, "store", member), ownerReferences },
      status: { phase: "Bound" },
    });
    fixture.put(RESOURCES.pods, { metadata: { ...metadata(member, "store", member), ownerReferences } });
    assert.deepEqual(storeRecords(sources(fixture)), []);
    assert.equal(nextOrdinal(sources(fixture), "store"), 1);
  });

  it("are waited for where a volume was left to be taken over", () => {
    const fixture = makeFixture();
    const owner = { apiVersion: "rheakv.io/v1alpha1", kind: "RheaCluster", name: "demo", uid: "cluster-0" };
    fixture.put(RESOURCES.persistentVolumeClaims, claim("demo-store-0"));
    fixture.put(
      RESOURCES.pods,
      pod("demo-store-0", {
        metadata: { ...metadata("demo-store-0", "store", "demo-store-0"), ownerReferences: [owner] },
      }),
    );
    const [record] = storeRecords(sources(fixture));
    assert.deepEqual([record?.directory, record?.process.kind], ["present", "stopping"]);
  });
});
