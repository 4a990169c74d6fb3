import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InvariantError } from "@rhea/common";
import { plan } from "../../plan/index.js";
import { startLocalCluster } from "./local-cluster.js";

describe("local cluster", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "rhea-local-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("ends with the error of a bug in the plan, and gives the directory free", async () => {
    let looks = 0;
    const cluster = await startLocalCluster({
      dataDir: join(folder, "data"),
      source: { cluster: { metadata: { name: "demo" }, spec: { stores: { replicas: 3 } } } },
      ports: "free",
      decide: (observed, desired, now) => {
        if (++looks > 1) throw new InvariantError("two and two are five");
        return { ...plan(observed, desired, now), actions: [] };
      },
    });
    await assert.rejects(cluster.failure, /two and two are five/);
    await assert.rejects(cluster.stop(), InvariantError);
    const again = await startLocalCluster({
      dataDir: join(folder, "data"),
      source: { cluster: { metadata: { name: "demo" }, spec: { stores: { replicas: 3 }, mode: "Paused" } } },
    });
    await again.stop();
  });
});
