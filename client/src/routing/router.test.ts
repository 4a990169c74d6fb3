import assert from "node:assert/strict";
import { RheaError } from "@rhea/common";
import { PeerRole, RegionRoute } from "@rhea/proto";
import { VirtualTime } from "../test-support/virtual-time.js";
import { Router, type RouteAnswer, type RouteSource } from "./router.js";

function answer(...regions: [regionId: number, start: string, end: string, version: number][]): RouteAnswer {
  return {
    stores: [],
    routes: regions.map(([regionId, start, end, version]) =>
      RegionRoute.decode(
        RegionRoute.encode({
          region: {
            regionId,
            startKey: Buffer.from(start),
            endKey: Buffer.from(end),
            epoch: { confVer: 1, version },
            peers: [{ peerId: 1, storeId: 1, role: PeerRole.VOTER }],
          },
          leader: { peerId: 1, storeId: 1 },
        }).finish(),
      ),
    ),
  };
}

describe("router", () => {
  it("shares one lookup among all that wait for keys in the same hole", async () => {
    const { clock } = new VirtualTime();
    const asked: string[] = [];
    const source: RouteSource = {
      name: "PD",
      async routes(key) {
        asked.push(key.toString());
        return key.toString() < "m" ? answer([1, "", "m", 1]) : answer([2, "m", "", 1]);
      },
    };
    const router = new Router({ clock, sources: [source] });
    await Promise.all(["a", "b", "c", "x", "y", "d"].map((key) => router.lookup(key)));
    assert.deepEqual(asked, ["a", "x"]);
    assert.equal(router.get("c")?.regionId, 1);
    assert.equal(router.get("z")?.regionId, 2);
  });

  it("takes the neighbours that come with an answer", async () => {
    const { clock } = new VirtualTime();
    const source = { name: "PD", routes: async () => answer([1, "", "g", 1], [2, "g", "p", 1], [3, "p", "", 1]) };
    const router = new Router({ clock, sources: [source] });
    await router.lookup("a");
    await router.lookup("z");
    assert.equal(router.stats.lookups, 1);
  });

  it("asks the next source when the first fails, and that one first for a while", async () => {
    const { clock } = new VirtualTime();
    const asked: string[] = [];
    const broken: RouteSource = {
      name: "PD",
      async routes() {
        asked.push("pd");
        throw new RheaError("UNAVAILABLE", "down");
      },
    };
    const stores: RouteSource = {
      name: "stores",
      async routes(key) {
        asked.push("stores");
        return key.toString() < "m" ? answer([1, "", "m", 1]) : answer([2, "m", "", 1]);
      },
    };
    const router = new Router({ clock, sources: [broken, stores] });
    await router.lookup("a");
    await router.lookup("x");
    assert.deepEqual(asked, ["pd", "stores", "stores"]);
  });

  it("does not let an outdated answer displace what a store said, unless it is all that ever comes", async () => {
    const { clock } = new VirtualTime();
    const router = new Router({ clock, sources: [{ name: "PD", routes: async () => answer([1, "", "", 1]) }] });
    const replicas = [{ storeId: 1, isLearner: false }];
    router.learnRegion({ regionId: 1, start: "", end: "m", confVer: 1, version: 2, replicas }, 1);
    await assert.rejects(router.lookup("x"), { code: "REGION_NOT_FOUND" });
    assert.equal(router.get("a")?.version, 2);
    for (let i = 0; i < 4; i++) await assert.rejects(router.lookup("x"));
    await router.lookup("x"); // the cluster was made anew
    assert.equal(router.get("a")?.version, 1);
  });

  it("forgets a leader only if it is still the one that failed", () => {
    const { clock } = new VirtualTime();
    const router = new Router({ clock, sources: [] });
    router.setLeader(5, 2);
    router.clearLeader(5, 1);
    assert.equal(router.leaderOf(5), 2);
    router.clearLeader(5, 2);
    assert.equal(router.leaderOf(5), undefined);
  });
});
