import assert from "node:assert/strict";
import type { Admin } from "@rhea/client";
import { readPdView } from "./pd-view.js";

describe("view of PD", () => {
  it("has all regions, also those beyond one answer of PD", async () => {
    const total = 25_000;
    const keyOf = (i: number) => Buffer.from(i === 0 || i === total ? "" : String(i).padStart(5, "0"));
    const admin: Partial<Admin> = {
      clusterInfo: () =>
        Promise.resolve({
          ...{ clusterId: 1, bootstrapped: true, featureLevel: 1, members: [] },
          config: null,
          version: "",
        }),
      stores: () => Promise.resolve([]),
      operations: () => Promise.resolve([]),
      regions: ({ startKey, limit = 0 } = {}) => {
        const first = Number(startKey ?? 0);
        const count = Math.min(limit, total - first);
        const routes = Array.from({ length: count }, (_, i) => ({
          region: {
            ...{ regionId: first + i + 1, startKey: keyOf(first + i), endKey: keyOf(first + i + 1) },
            ...{ epoch: null, peers: [] },
          },
          leader: null,
        }));
        return Promise.resolve({ routes, stores: [], health: [] });
      },
    };
    const { regions } = await readPdView(admin as Admin, 100);
    assert.equal(new Set(regions.map(({ regionId }) => regionId)).size, total);
  });
});
