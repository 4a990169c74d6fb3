import assert from "node:assert/strict";
import { RHEA_CLUSTER_SCHEMA } from "./gen/rhea-cluster.js";
import { KUBERNETES_FIELDS, fieldsWithoutLocalEffect } from "./local-fields.js";

describe("fields without local effect", () => {
  it("are named as far as the file sets them", () => {
    const spec = { version: "1", stores: { replicas: 3, storage: { size: "1Gi", className: "fast" }, resources: {} } };
    assert.deepEqual(fieldsWithoutLocalEffect({ spec }), ["version", "stores.storage.className", "stores.resources"]);
    assert.deepEqual(fieldsWithoutLocalEffect({ spec: { stores: { replicas: 3, storage: { size: "1Gi" } } } }), []);
  });

  it("are fields of the CRD", () => {
    for (const path of KUBERNETES_FIELDS) {
      let node: unknown = RHEA_CLUSTER_SCHEMA;
      for (const key of ["spec", ...path.split(".")]) {
        const { properties } = node as { readonly properties?: Readonly<Record<string, unknown>> };
        node = properties?.[key];
        assert.notEqual(node, undefined, path);
      }
    }
  });
});
