import assert from "node:assert/strict";
import { RESOURCES, type Pod } from "../../../kube/index.js";
import { ApiServer } from "./api-server.js";

const KEY = { namespace: "ns", name: "a" };
const MINE = { manager: "rhea-operator" };
const USER = { manager: "kubectl" };

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return "none";
}

describe("simulated API server", () => {
  let server: ApiServer;

  beforeEach(() => {
    server = new ApiServer(() => "2026-01-01T00:00:00Z");
    server.create(RESOURCES.namespaces, { metadata: { name: "ns" } }, USER);
  });

  const service = (ports: number[], labels: Record<string, string> = {}) => ({
    metadata: { ...KEY, labels },
    spec: { ports: ports.map((port) => ({ port, name: `p${port}` })), clusterIP: "None" },
  });
  const pod = (): Pod => ({
    metadata: { ...KEY },
    spec: { containers: [{ name: "c", image: "rhea:1" }], nodeName: "n1" },
  });

  it("an apply that says the same again writes nothing", () => {
    const first = server.apply(RESOURCES.services, service([1, 2], { x: "1" }), MINE);
    const again = server.apply(RESOURCES.services, service([1, 2], { x: "1" }), MINE);
    assert.equal(again.metadata?.resourceVersion, first.metadata?.resourceVersion);
    assert.equal(again.spec?.ports?.[0]?.protocol, "TCP");
  });

  it("an apply takes away what the manager no longer says, and leaves what others own", () => {
    server.apply(RESOURCES.services, service([1, 2], { x: "1" }), MINE);
    server.patch(RESOURCES.services, KEY, { metadata: { labels: { theirs: "1" } } }, USER);
    const after = server.apply(RESOURCES.services, service([2]), MINE);
    assert.deepEqual(
      after.spec?.ports?.map(({ port }) => port),
      [2],
    );
    assert.deepEqual(after.metadata?.labels, { theirs: "1" });
  });

  it("a field that another manager changed is a conflict without force, and taken back with it", () => {
    server.apply(RESOURCES.services, service([1], { x: "1" }), MINE);
    server.patch(RESOURCES.services, KEY, { metadata: { labels: { x: "2" } } }, USER);
    assert.equal(
      codeOf(() => server.apply(RESOURCES.services, service([1], { x: "1" }), MINE)),
      "KUBE_CONFLICT",
    );
    const forced = server.apply(RESOURCES.services, service([1], { x: "1" }), { ...MINE, force: true });
    assert.equal(forced.metadata?.labels?.["x"], "1");
    assert.equal(
      codeOf(() => server.apply(RESOURCES.services, service([1], { x: "1" }), MINE)),
      "none",
    );
  });

  it("status and spec are written apart, and only the spec counts generations", () => {
    const { rheaClusters } = RESOURCES;
    server.create(rheaClusters, { metadata: { ...KEY }, spec: { stores: 3 }, status: { ready: true } }, USER);
    assert.equal(server.find(rheaClusters, KEY)?.status, undefined);
    server.apply(
      rheaClusters,
      { metadata: { ...KEY }, spec: { stores: 9 }, status: { ready: true } },
      { ...MINE, subresource: "status" },
    );
    const after = server.find(rheaClusters, KEY);
    assert.deepEqual([after?.spec, after?.status, after?.metadata?.generation], [{ stores: 3 }, { ready: true }, 1]);
    server.patch(rheaClusters, KEY, { spec: { stores: 4 } }, USER);
    assert.equal(server.find(rheaClusters, KEY)?.metadata?.generation, 2);
  });

  it("deletes only the object that was meant", () => {
    server.create(RESOURCES.pods, pod(), MINE);
    assert.equal(
      codeOf(() => server.delete(RESOURCES.pods, KEY, { ...MINE, uid: "other" })),
      "KUBE_CONFLICT",
    );
    assert.equal(
      codeOf(() => server.delete(RESOURCES.pods, KEY, { ...MINE, resourceVersion: "1" })),
      "KUBE_CONFLICT",
    );
    assert.equal(server.delete(RESOURCES.pods, KEY, MINE), "deleting");
    assert.equal(server.find(RESOURCES.pods, KEY)?.metadata?.deletionGracePeriodSeconds, 30);
    assert.equal(server.delete(RESOURCES.pods, KEY, { ...MINE, gracePeriodSeconds: 0 }), "gone");
    assert.equal(server.delete(RESOURCES.pods, KEY, MINE), "gone");
  });

  it("a claim in use stays until its finalizer goes, and its size is all that may change", () => {
    const { persistentVolumeClaims } = RESOURCES;
    const spec = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } };
    server.create(persistentVolumeClaims, { metadata: { ...KEY }, spec }, MINE);
    assert.equal(
      codeOf(() => server.patch(persistentVolumeClaims, KEY, { spec: { accessModes: ["ReadOnlyMany"] } }, MINE)),
      "KUBE_INVALID",
    );
    assert.equal(
      codeOf(() =>
        server.patch(persistentVolumeClaims, KEY, { spec: { resources: { requests: { storage: "2Gi" } } } }, MINE),
      ),
      "none",
    );
    assert.equal(server.delete(persistentVolumeClaims, KEY, MINE), "deleting");
    server.amend(persistentVolumeClaims, KEY, "pvc-protection", () => ({ metadata: { finalizers: null } }));
    assert.equal(server.find(persistentVolumeClaims, KEY), undefined);
  });

  it("a namespace that is being deleted takes nothing new", () => {
    server.delete(RESOURCES.namespaces, { name: "ns" }, USER);
    assert.equal(
      codeOf(() => server.create(RESOURCES.pods, pod(), MINE)),
      "KUBE_FORBIDDEN",
    );
  });

  it("what was read is a value: changing it throws", () => {
    const read = server.create(RESOURCES.pods, pod(), MINE);
    assert.throws(() => Object.assign(read.metadata ?? {}, { name: "b" }), TypeError);
  });
});
