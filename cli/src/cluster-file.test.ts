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
