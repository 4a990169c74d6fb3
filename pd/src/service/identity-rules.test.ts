import { strict as assert } from "node:assert";
import { NOW, sampleCluster } from "../testing/samples.js";
import type { StoreIdentity } from "../cluster/index.js";
import { requireAdmissible } from "./identity-rules.js";

const known: StoreIdentity = {
  ...{
    storeId: 1,
    name: "s1",
    address: "s1:1",
    statusAddress: "",
    raftAddress: "",
    uuid: "u1",
    incarnation: 1,
    bootNonce: "b",
  },
  ...{ labels: {}, version: "", featureLevel: 1 },
};

function admit(
  change: Partial<StoreIdentity>,
  prepare: (cluster: ReturnType<typeof sampleCluster>) => void = () => undefined,
): string {
  const cluster = sampleCluster(2);
  prepare(cluster);
  try {
    requireAdmissible({ ...known, ...change }, cluster, NOW);
    return "admitted";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe("requireAdmissible", () => {
  it("admits the same boot again and every newer incarnation", () => {
    assert.equal(admit({}), "admitted");
    assert.equal(admit({ incarnation: 2, bootNonce: "c", address: "elsewhere:1" }), "admitted");
  });

  it("refuses copies, older incarnations, other disks and tombstones as STALE_IDENTITY", () => {
    assert.equal(admit({ bootNonce: "c" }), "STALE_IDENTITY");
    assert.equal(admit({ incarnation: 0 }), "STALE_IDENTITY");
    assert.equal(admit({ uuid: "other", incarnation: 2 }), "STALE_IDENTITY");
    const bury = (cluster: ReturnType<typeof sampleCluster>) => cluster.stores.setIntent(1, { lifecycle: "tombstone" });
    assert.equal(admit({ incarnation: 2 }, bury), "STALE_IDENTITY");
  });

  it("takes a known name under a new id for a lost disk until the old store is down", () => {
    const fresh = { storeId: 9, uuid: "u9", address: "new:1" };
    assert.equal(admit(fresh), "DISK_LOST");
    assert.equal(
      admit(fresh, (cluster) => cluster.stores.setIntent(1, { diskLost: true, diskLostReason: "test" })),
      "admitted",
    );
    assert.equal(admit({ ...fresh, name: "s9" }), "admitted");
  });

  it("gives an address to one live store only", () => {
    const fresh = { storeId: 9, uuid: "u9", name: "s9", address: "s2:1" };
    assert.equal(admit(fresh), "ALREADY_EXISTS");
    assert.equal(admit({ ...fresh, address: "new:1", raftAddress: "s2:1" }), "ALREADY_EXISTS");
    assert.equal(
      admit(fresh, (cluster) => cluster.stores.setIntent(2, { diskLost: true, diskLostReason: "test" })),
      "admitted",
    );
    assert.equal(admit({ incarnation: 2, address: "s2:1" }), "ALREADY_EXISTS");
  });
});
