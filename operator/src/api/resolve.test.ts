import assert from "node:assert/strict";
import type { RheaClusterSpec } from "./gen/rhea-cluster.js";
import { resolveCluster } from "./resolve.js";

type Spec = Omit<Partial<RheaClusterSpec>, "stores"> & { readonly stores?: Partial<RheaClusterSpec["stores"]> };
const resolved = ({ stores, ...spec }: Spec, defaultImage = "registry.example:5000/team/rhea:1.0.0@sha256:ab") =>
  resolveCluster({ metadata: { name: "demo" }, spec: { ...spec, stores: { replicas: 3, ...stores } } }, 1, {
    defaultImage,
  });

describe("defaults", () => {
  it("are those of the CRD's descriptions", () => {
    const cluster = resolved({});
    assert.equal(cluster.pdReplicas, 3);
    assert.equal(cluster.pdStorage.sizeBytes, 2 ** 30);
    assert.deepEqual(cluster.storeStorage, { size: "10Gi", sizeBytes: 10 * 2 ** 30 });
    assert.equal(cluster.storageBytes, undefined);
    assert.equal(cluster.logStorage, undefined);
    assert.deepEqual(cluster.storePod, {
      resources: { requests: { cpu: "100m", memory: "256Mi" }, limits: {} },
      topologyKeys: ["topology.kubernetes.io/zone", "kubernetes.io/hostname"],
      nodeSelector: {},
      tolerations: [],
    });
    assert.equal(cluster.autoscale, undefined);
    assert.deepEqual(cluster.tls, { isEnabled: true, leafValidMs: 90 * 86_400_000 });
    assert.deepEqual(cluster.networkPolicy, { isEnabled: true });
    assert.equal(cluster.deletionPolicy, "Retain");
  });

  it("give autoscale the peers of a region as its minimum", () => {
    const { autoscale } = resolved({
      regions: { replicas: 5 },
      stores: { replicas: 5, autoscale: { maxReplicas: 9 } },
    });
    assert.deepEqual(autoscale, {
      ...{ minReplicas: 5, maxReplicas: 9, targetRegionsPerStore: 200, scaleInDelayMs: 1_800_000 },
      ...{ cooldownMs: 120_000, maxStep: 1, mode: "Auto" },
    });
  });

  it("do not ask for more than a limit lets a pod have", () => {
    const { storePod } = resolved({ stores: { resources: { limits: { memory: 134217728 } } } });
    assert.deepEqual(storePod.resources, { requests: { cpu: "100m" }, limits: { memory: "134217728" } });
  });

  it("leave the volume for the log its own size", () => {
    const { logStorage } = resolved({ stores: { logStorage: { className: "fast" } } });
    assert.deepEqual(logStorage, { size: "10Gi", sizeBytes: 10 * 2 ** 30, className: "fast" });
  });
});

describe("image", () => {
  it("is the operator's with the version as its tag, whatever the operator's looks like", () => {
    const image = (defaultImage: string) => resolved({ version: "1.1.0" }, defaultImage).image;
    assert.equal(image("rhea"), "rhea:1.1.0");
    assert.equal(image("rhea:1.0.0"), "rhea:1.1.0");
    assert.equal(image("registry.example:5000/rhea"), "registry.example:5000/rhea:1.1.0");
    assert.equal(image("registry.example:5000/rhea:1.0.0@sha256:ab"), "registry.example:5000/rhea:1.1.0");
  });

  it("is left open without image and version, and on a platform without images", () => {
    assert.equal(resolved({}).image, undefined);
    assert.equal(resolveCluster({ spec: { version: "1", stores: { replicas: 3 } } }, 1).image, undefined);
  });

  it("is what the user wrote", () => {
    assert.equal(resolved({ image: "other/rhea@sha256:cd" }).image, "other/rhea@sha256:cd");
  });
});

describe("pause", () => {
  it("ends at a time with an offset", () => {
    const { pause } = resolved({ mode: "Paused", pause: { until: "2030-01-01T02:00:00+02:00", reason: "move" } });
    assert.deepEqual(pause, { untilMs: Date.UTC(2030, 0, 1), reason: "move" });
  });
});
