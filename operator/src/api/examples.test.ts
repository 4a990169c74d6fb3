import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { parse, parseAllDocuments } from "yaml";
import { parseClusterFile } from "./cluster-file.js";
import { RHEA_CLUSTER_SCHEMA } from "./gen/rhea-cluster.js";

const EXAMPLES = new URL("../../../examples/", import.meta.url);
const read = (name: string) => readFileSync(new URL(name, EXAMPLES), "utf8");

type Node = Readonly<Record<string, unknown>>;
interface ConfigMap {
  readonly data: Readonly<Record<string, string>>;
}

/** The paths of all fields below a node of a schema that have no fields of their own. */
function leaves(schema: Node, path: string): readonly string[] {
  const items = schema["items"] as Node | undefined;
  if (items !== undefined) return leaves(items, path);
  const properties = schema["properties"] as Readonly<Record<string, Node>> | undefined;
  if (properties === undefined) return [path];
  return Object.entries(properties).flatMap(([key, child]) => leaves(child, `${path}.${key}`));
}

function valuesAt(value: unknown, keys: readonly string[]): readonly unknown[] {
  const [key, ...rest] = keys;
  if (Array.isArray(value)) return value.flatMap((item) => valuesAt(item, keys));
  if (key === undefined) return [value];
  if (typeof value !== "object" || value === null || !(key in value)) return [];
  return valuesAt((value as Node)[key], rest);
}

describe("examples", () => {
  const files = ["rheacluster.yaml", ...readdirSync(new URL("kubernetes/", EXAMPLES)).map((n) => `kubernetes/${n}`)];
  for (const file of files) {
    it(`${file} is right`, () => {
      parseClusterFile(file, read(file));
    });
  }

  it("one of them has every field", () => {
    const full: unknown = parse(read("kubernetes/full.yaml"));
    const { spec } = RHEA_CLUSTER_SCHEMA["properties"] as Readonly<Record<string, Node>>;
    assert.ok(spec);
    const missing = leaves(spec, "spec").filter((path) => valuesAt(full, path.split(".")).length === 0);
    assert.deepEqual(missing, ["spec.image"], "image excludes version");
  });

  it("the first of them fits on one node with 2 CPUs", () => {
    const { spec } = parseClusterFile("rheacluster.yaml", read("rheacluster.yaml"));
    assert.equal(spec.pd?.replicas, 1);
    assert.equal(spec.stores.resources, undefined, "the default requests are small");
    assert.ok(spec.stores.replicas <= 3);
  });
});

describe("example application", () => {
  it("is in its manifest word for word", () => {
    const [config] = parseAllDocuments(read("app/app.yaml")).map((document) => document.toJS() as ConfigMap);
    assert.equal(config?.data["app.mjs"], read("app/app.mjs"));
  });
});
