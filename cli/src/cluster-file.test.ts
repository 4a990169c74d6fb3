import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCluster } from "./cluster-file.js";

describe("cluster file", () => {
  let root: string;
  const at = (...names: string[]): string => join(root, ...names);
  const place = (directory: string, content: string): void => {
    mkdirSync(join(directory, ".rhea"), { recursive: true });
    writeFileSync(join(directory, ".rhea", "cluster.json"), content);
  };
  const search = (more: object = {}): ReturnType<typeof findCluster> =>
    findCluster({ cwd: at("work", "deep"), projectRoot: at("project"), env: {}, ...more });

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "rheactl-"));
    mkdirSync(at("work", "deep"), { recursive: true });
    mkdirSync(at("project"));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it("is found upwards from the working directory", () => {
    place(at("work"), '{"clusterId": 7, "pd": ["127.0.0.1:7400"], "stores": ["127.0.0.1:7410"]}');
    place(at("project"), '{"clusterId": 8, "pd": ["127.0.0.1:1"]}');
    const { pd, stores, clusterId } = search({ env: { RHEA_PD: "other:1" } });
    assert.deepEqual([pd, stores, clusterId], [["127.0.0.1:7400"], ["127.0.0.1:7410"], 7]);
  });

  it("is found in the project from anywhere", () => {
    place(at("project"), '{"clusterId": 8, "pd": ["127.0.0.1:1"]}');
    assert.equal(search().clusterId, 8);
  });

  it("gives way to flags", () => {
    place(at("work"), '{"clusterId": 7, "pd": ["127.0.0.1:7400"]}');
    assert.deepEqual(search({ pd: "a:1, b:2" }).pd, ["a:1", "b:2"]);
    assert.equal(search({ clusterId: 3 }).clusterId, 3);
    place(at("elsewhere"), '{"clusterId": 5, "pd": ["127.0.0.1:7401"]}');
    assert.equal(search({ dataDir: "../../elsewhere/.rhea" }).clusterId, 5);
    assert.throws(() => search({ dataDir: "nowhere" }), { code: "INVALID_ARGUMENT", message: /nowhere.cluster\.json/ });
  });

  it("may lie anywhere and be named by flag or variable, with files that are named relative to it", () => {
    place(at("work"), '{"clusterId": 7, "pd": ["127.0.0.1:7400"]}');
    mkdirSync(at("etc"));
    const content = {
      clusterId: 9,
      pd: ["demo-pd:7400"],
      tls: { caFile: "ca.crt", certFile: "tls.crt", keyFile: "tls.key" },
    };
    writeFileSync(at("etc", "cluster.json"), JSON.stringify(content));
    const tls = { caFile: at("etc", "ca.crt"), certFile: at("etc", "tls.crt"), keyFile: at("etc", "tls.key") };
    const env = { RHEA_CLUSTER_FILE: at("etc", "cluster.json"), RHEA_PD: "other:1" };
    for (const found of [search({ clusterFile: "../../etc/cluster.json" }), search({ env })])
      assert.deepEqual([found.pd, found.clusterId, found.tls], [["demo-pd:7400"], 9, tls]);
    assert.deepEqual(search({ env, pd: "a:1" }).pd, ["a:1"]);
    assert.equal(search({ env, dataDir: "../.rhea" }).clusterId, 7, "a flag wins over the variable");
    assert.equal(search({ env: { RHEA_CLUSTER_FILE: "" } }).clusterId, 7);
  });

  it("must be there when it is named", () => {
    place(at("work"), '{"pd": ["a:1"]}');
    const missing = at("nowhere.json");
    assert.throws(() => search({ clusterFile: missing }), {
      code: "INVALID_ARGUMENT",
      message: /--cluster-file.*nowhere/,
    });
    assert.throws(() => search({ env: { RHEA_CLUSTER_FILE: missing } }), { message: /RHEA_CLUSTER_FILE.*nowhere/ });
  });

  it("is replaced by RHEA_PD where there is none", () => {
    assert.deepEqual(search({ env: { RHEA_PD: "a:1,b:2" } }).pd, ["a:1", "b:2"]);
    assert.throws(() => search(), { code: "INVALID_ARGUMENT", message: /npm start.*RHEA_PD.*--pd/ });
  });

  it("is refused with its path when it is broken", () => {
    place(at("work"), "{");
    assert.throws(() => search(), { code: "INVALID_CONFIG", message: /work.*cluster\.json: it is not JSON/ });
    place(at("work"), '{"pd": []}');
    assert.throws(() => search(), { code: "INVALID_CONFIG", message: /no list of addresses/ });
  });

  it("takes TLS files from flags, variables and the file, in this order, all or none", () => {
    place(
      at("work"),
      '{"pd": ["a:1"], "tls": {"caFile": "tls/ca.crt", "certFile": "tls/tls.crt", "keyFile": "/k/tls.key"}}',
    );
    const near = (name: string): string => at("work", ".rhea", "tls", name);
    assert.deepEqual(search().tls, { caFile: near("ca.crt"), certFile: near("tls.crt"), keyFile: "/k/tls.key" });
    const env = { RHEA_CA_FILE: "/e/ca", RHEA_CERT_FILE: "/e/crt", RHEA_KEY_FILE: "/e/key" };
    assert.deepEqual(search({ env, tls: { caFile: "mine/ca" } }).tls, {
      caFile: at("work", "deep", "mine", "ca"),
      certFile: "/e/crt",
      keyFile: "/e/key",
    });
    assert.throws(() => search({ tls: { certFile: "c" } }), {
      code: "INVALID_CONFIG",
      message: /--ca-file \(RHEA_CA_FILE\) and --key-file \(RHEA_KEY_FILE\) missing/,
    });
    place(at("work"), '{"pd": ["a:1"], "tls": {"caFile": "x"}}');
    assert.throws(() => search(), { code: "INVALID_CONFIG", message: /"certFile" and "keyFile" missing/ });
    place(at("work"), '{"pd": ["a:1"]}');
    assert.equal(search().tls, undefined);
  });
});
