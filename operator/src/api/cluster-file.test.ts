import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { RheaError } from "@rhea/common";
import { parseClusterFile } from "./cluster-file.js";
import { resolveCluster } from "./resolve.js";

const HEAD = "apiVersion: rheakv.io/v1alpha1\nkind: RheaCluster\nmetadata: { name: demo }\n";

function refusal(text: string, previous?: string): string {
  try {
    parseClusterFile("c.yaml", text, previous === undefined ? undefined : parseClusterFile("old.yaml", previous));
  } catch (error) {
    assert.ok(error instanceof RheaError);
    assert.equal(error.code, "INVALID_CONFIG");
    return error.message;
  }
  return "accepted";
}

describe("cluster file", () => {
  it("accepts the example and fills in the defaults", () => {
    const file = new URL("../../../examples/rheacluster.yaml", import.meta.url);
    const desired = resolveCluster(parseClusterFile("rheacluster.yaml", readFileSync(file, "utf8")), 1);
    assert.equal(desired.name, "demo");
    assert.equal(desired.storeReplicas, 3);
    assert.equal(desired.regionReplicas, 3);
    assert.equal(desired.deadAfterMs, 300_000);
    assert.equal(desired.operationLimit, 8);
    assert.equal(desired.mode, "Reconcile");
  });

  const cases: readonly (readonly [name: string, text: string, message: RegExp])[] = [
    [
      "an unknown key, at the key, with the allowed ones",
      `${HEAD}spec:\n  stores:\n    replicas: 3\n    replica: 4\n`,
      /^c\.yaml:7:5: unknown key spec\.stores\.replica: allowed here: replicas, engine, storage, /,
    ],
    [
      "a value that is not in the list, at the value",
      `${HEAD}spec:\n  stores: { replicas: 3, engine: rocksdb }\n`,
      /^c\.yaml:5:34: spec\.stores\.engine is "rocksdb": allowed values: leveldb, memory$/,
    ],
    [
      "a value of the wrong type with its range",
      `${HEAD}spec:\n  stores: { replicas: three }\n`,
      /^c\.yaml:5:23: spec\.stores\.replicas is "three": wanted a whole number from 1 to 99$/,
    ],
    [
      "a number out of range",
      `${HEAD}spec:\n  stores: { replicas: 100 }\n`,
      /^c\.yaml:5:23: spec\.stores\.replicas is 100: wanted a whole number from 1 to 99$/,
    ],
    [
      "a missing key, at what lacks it",
      `${HEAD}spec:\n  stores: {}\n`,
      /^c\.yaml:5:3: spec\.stores\.replicas is missing$/,
    ],
    ["a missing spec", HEAD, /^c\.yaml:1:1: spec is missing$/],
    [
      "another kind",
      `${HEAD.replace("RheaCluster", "Deployment")}spec: { stores: { replicas: 3 } }\n`,
      /^c\.yaml:2:7: kind is "Deployment": allowed values: RheaCluster$/,
    ],
    [
      "a name that no process can carry",
      `${HEAD.replace("demo", "De_mo")}spec: { stores: { replicas: 3 } }\n`,
      /^c\.yaml:3:19: metadata\.name is "De_mo": it must match/,
    ],
    [
      "a status, which is the operator's",
      `${HEAD}spec: { stores: { replicas: 3 } }\nstatus: {}\n`,
      /^c\.yaml:5:1: unknown key status: allowed here: apiVersion, kind, metadata, spec$/,
    ],
    ["broken YAML", `${HEAD}spec: { stores: [\n`, /^c\.yaml:\d+:\d+: /],
    [
      "the same key twice",
      `${HEAD}spec: { suspend: true, suspend: false, stores: { replicas: 3 } }\n`,
      /^c\.yaml:4:24: .*unique/,
    ],
    ["an empty file", "# nothing\n", /^c\.yaml:1:1: the file has no YAML document$/],
    [
      "an alias without its anchor",
      `${HEAD}spec:\n  stores: { replicas: *three }\n`,
      /^c\.yaml:5:23: \*three names no anchor before it: &three is missing$/,
    ],
    [
      "aliases that multiply without bounds",
      `a: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefgh".replace(
        /./g,
        (n) =>
          `${n}: &${n} [${Array(9)
            .fill(`*${String.fromCharCode(n.charCodeAt(0) - 1)}`)
            .join(",")}]\n`,
      )}`,
      /^c\.yaml:1:1: the document cannot be read: /,
    ],
    [
      "a long text, without repeating it",
      `x${"y".repeat(500)}\n`,
      /^c\.yaml:1:1: the document is "xy{58}…: wanted a map of keys$/,
    ],
    [
      "a name with no room for a store's",
      `${HEAD.replace("demo", "d".repeat(41))}spec: { stores: { replicas: 3 } }\n`,
      /^c\.yaml:3:19: metadata\.name is "d+": it must NOT have more than 40 characters$/,
    ],
    ["two documents", `${HEAD}spec: { stores: { replicas: 3 } }\n---\na: 1\n`, /^c\.yaml:6:1: a second document/],
    [
      "fewer stores than peers per region",
      `${HEAD}spec:\n  stores: { replicas: 3 }\n  regions: { replicas: 5 }\n`,
      /^c\.yaml:5:23: stores\.replicas must be at least regions\.replicas/,
    ],
    [
      "an election timeout too near to the heartbeat",
      `${HEAD}spec:\n  stores: { replicas: 3 }\n  config: { raft: { electionTicks: 5 } }\n`,
      /^c\.yaml:6:36: config\.raft\.electionTicks/,
    ],
  ];
  for (const [name, text, message] of cases) {
    it(`refuses ${name}`, () => assert.match(refusal(text), message));
  }

  it("lists all mistakes in the order of the file", () => {
    const message = refusal(`${HEAD}spec:\n  mode: Go\n  stores:\n    replicas: 0\n  suspend: 1\n`);
    assert.deepEqual(
      message.split("\n").map((line) => line.split(": ", 1)[0]),
      ["c.yaml:5:9", "c.yaml:7:15", "c.yaml:8:12"],
    );
  });

  const spec = (stores: string) => `${HEAD}spec:\n  stores: { replicas: 3${stores} }\n`;
  const transitions: readonly (readonly [name: string, before: string, after: string, message: RegExp])[] = [
    ["another engine", "", ", engine: memory", /stores\.engine is immutable/],
    [
      "a smaller size",
      ", storage: { size: 2Gi }",
      ", storage: { size: 1500Mi }",
      /^c\.yaml:5:43: stores\.storage\.size only grows/,
    ],
    ["a large size taken away", ", storage: { size: 20Gi }", "", /^c\.yaml:5:3: stores\.storage\.size only grows/],
    ["nothing when the size grows", ", storage: { size: 2Gi }", ", storage: { size: 3G }", /^accepted$/],
    ["nothing when the default engine is spelled out", "", ", engine: leveldb", /^accepted$/],
  ];
  for (const [name, before, after, message] of transitions) {
    it(`refuses as a change ${name}`, () => assert.match(refusal(spec(after), spec(before)), message));
  }
});
