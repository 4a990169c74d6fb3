import assert from "node:assert/strict";
import { clusterIdOf, ordinalOf } from "./identity.js";

describe("identity of a cluster", () => {
  it("has an id that depends on the place alone and fits into 48 bits", () => {
    assert.equal(clusterIdOf("ns", "demo"), clusterIdOf("ns", "demo"));
    assert.notEqual(clusterIdOf("ns", "demo"), clusterIdOf("ns2", "demo"));
    assert.notEqual(clusterIdOf("a", "b-c"), clusterIdOf("a-b", "c"));
    assert.ok(clusterIdOf("ns", "demo") < 2 ** 48 && clusterIdOf("ns", "demo") >= 1);
    assert.equal(clusterIdOf("tls", "demo"), 34663211184630); // volumes out there depend on it
  });

  it("reads ordinals off its own names only", () => {
    const demo = { name: "demo" };
    assert.equal(ordinalOf(demo, "store", "demo-store-12"), 12);
    for (const name of [
      "demo-store-",
      "demo-store-01",
      "demo-store-1-tls",
      "demo-pd-1",
      "demo2-store-1",
      "demo-store-x",
    ])
      assert.equal(ordinalOf(demo, "store", name), undefined, name);
  });
});
