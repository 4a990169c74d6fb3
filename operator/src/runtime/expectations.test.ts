import assert from "node:assert/strict";
import { RheaError, silentLogger } from "@rhea/common";
import { RESOURCES, type InformerView, type KubeObject } from "../kube/index.js";
import { turn, VirtualTime } from "../kube/virtual-time.js";
import { createExpectations, type Expectations } from "./expectations.js";

const POD = { resource: RESOURCES.pods, namespace: "ns", name: "demo-store-0", uid: "u1" };

describe("expectations", () => {
  let time: VirtualTime;
  let expectations: Expectations;
  let store: Map<string, KubeObject>;
  let view: InformerView<KubeObject> & { resourceVersion: string; hasSynced: boolean };
  let relists: { readonly resolve: () => void; readonly reject: (error: RheaError) => void }[];

  const kind = (): string => expectations.satisfied("ns/demo", [view]).kind;
  const cache = (resourceVersion: string, more: object = {}): unknown =>
    store.set("ns/demo-store-0", {
      metadata: { namespace: "ns", name: "demo-store-0", uid: "u1", resourceVersion, ...more },
    });

  beforeEach(() => {
    time = new VirtualTime();
    expectations = createExpectations({ clock: time.clock, logger: silentLogger });
    store = new Map();
    relists = [];
    view = {
      resource: RESOURCES.pods,
      store,
      resourceVersion: "90",
      hasSynced: true,
      relist: () => new Promise((resolve, reject) => relists.push({ resolve, reject })),
    };
  });

  it("trusts the cache of a key that wrote nothing", () => {
    assert.equal(kind(), "satisfied");
  });

  it("waits until the cache has an object that was made, so that it is not made twice", () => {
    expectations.observeWrite("ns/demo", POD, { resourceVersion: "100" });
    const state = expectations.satisfied("ns/demo", [view]);
    assert.deepEqual(state, { kind: "waiting", what: "pods ns/demo-store-0", retryAfterMs: 10_000 });
    assert.equal(expectations.satisfied("ns/other", [view]).kind, "satisfied");
    cache("99");
    assert.equal(kind(), "waiting");
    cache("100");
    assert.equal(kind(), "satisfied");
  });

  it("compares versions as numbers of any length", () => {
    expectations.observeWrite("ns/demo", POD, { resourceVersion: "100" });
    cache("9");
    assert.equal(kind(), "waiting", "9 is before 100");
    cache("99999999999999999999");
    assert.equal(kind(), "satisfied");
  });

  it("is settled by a cache that went past the write, though the object is gone again", () => {
    expectations.observeWrite("ns/demo", POD, { resourceVersion: "100" });
    view.resourceVersion = "101";
    assert.equal(kind(), "satisfied");
  });

  it("waits until a deleted object is gone, leaves, or is another one", () => {
    cache("50");
    for (const change of [
      (): void => {
        store.clear();
      },
      (): unknown => cache("51", { deletionTimestamp: "2026-01-01T00:00:00Z" }),
      (): unknown => cache("52", { uid: "u2" }),
    ]) {
      cache("50");
      expectations.observeWrite("ns/demo", POD, "deleted");
      assert.equal(kind(), "waiting");
      change();
      assert.equal(kind(), "satisfied");
    }
  });

  it("does not trust a cache that has no first list", () => {
    view.hasSynced = false;
    expectations.observeWrite("ns/demo", POD, "deleted");
    assert.equal(kind(), "waiting");
  });

  it("lists anew once after ten seconds, and a list that began after the write settles it", async () => {
    expectations.observeWrite("ns/demo", POD, { resourceVersion: "100" });
    await time.advance(9_999);
    assert.equal(kind(), "waiting");
    assert.equal(relists.length, 0);
    await time.advance(1);
    assert.equal(kind(), "waiting", "never goes on blindly");
    assert.equal(kind(), "waiting");
    assert.equal(relists.length, 1);
    relists[0]?.resolve();
    await turn();
    assert.equal(kind(), "satisfied");
  });

  it("keeps a write that came while it listed anew, and lists again when that failed", async () => {
    expectations.observeWrite("ns/demo", POD, { resourceVersion: "100" });
    await time.advance(10_000);
    assert.equal(kind(), "waiting");
    expectations.observeWrite("ns/demo", POD, { resourceVersion: "110" });
    relists[0]?.resolve();
    await turn();
    assert.equal(kind(), "waiting");
    await time.advance(10_000);
    assert.equal(kind(), "waiting");
    relists[1]?.reject(new RheaError("SHUTTING_DOWN", "closed"));
    await turn();
    assert.equal(kind(), "waiting");
    assert.equal(relists.length, 3);
    expectations.forget("ns/demo");
    assert.equal(kind(), "satisfied");
  });
});
