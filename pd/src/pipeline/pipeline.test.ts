import { strict as assert } from "node:assert";
import { RegionStats } from "@rhea/proto";
import { regionToProto, type RegionDescriptor } from "../cluster/index.js";
import { addSampleRegion, NOW, sampleCluster, sampleDescriptor, sampleTable } from "../testing/samples.js";
import { builtInHandlers } from "./handlers.js";
import { HeartbeatPipeline, type RegionReport } from "./pipeline.js";

function setUp() {
  const cluster = sampleCluster(4);
  const destroyed: string[] = [];
  const saved: number[] = [];
  const failures: string[] = [];
  let claims: { storeId: number; peerId: number }[] = [];
  const pipeline = new HeartbeatPipeline((handler) => failures.push(handler));
  const handlers = builtInHandlers({
    cluster,
    operations: sampleTable(cluster),
    saveRegion: ({ regionId }) => saved.push(regionId),
    check: () => undefined,
    sendStep: () => undefined,
    sendDestroy: (storeId, region, peerId) => destroyed.push(`${storeId}: ${peerId} by confVer ${region.confVer}`),
    takeClaims: () => claims.splice(0),
  });
  for (const handler of handlers) pipeline.registerHandler(handler);
  const report = (descriptor: RegionDescriptor, storeId: number, term = 6) => {
    const leader = descriptor.peers.find((peer) => peer.storeId === storeId) ?? null;
    const stats = RegionStats.decode(RegionStats.encode({ region: regionToProto(descriptor), leader, term }).finish());
    return pipeline.run({ storeId, stats, nowMs: NOW, newer: undefined, evicts: [], region: undefined });
  };
  const claim = (storeId: number, peerId: number) => (claims = [{ storeId, peerId }]);
  return { cluster, pipeline, report, destroyed, saved, failures, claim };
}

const base = sampleDescriptor(7, [1, 2, 3]);

describe("HeartbeatPipeline", () => {
  it("persists a change of range, epoch or peers once, and never statistics", () => {
    const { report, saved, cluster } = setUp();
    assert.equal(report(base, 1), undefined);
    assert.equal(report(base, 1), undefined);
    assert.deepEqual(saved, [7]);
    assert.equal(cluster.regions.get(7)?.leaderStoreId, 1);
    report({ ...base, confVer: 6 }, 1);
    assert.deepEqual(saved, [7, 7]);
  });

  it("refuses older epochs, older terms, foreign leaders and empty ranges", () => {
    const { report, cluster } = setUp();
    report(base, 1, 8);
    assert.match(report({ ...base, confVer: 4 }, 2, 9)!, /older/);
    assert.match(report(base, 2, 7)!, /term 7 is older than 8/);
    assert.match(report(base, 4)!, /leader is missing/);
    assert.match(report({ ...base, version: 9, startKey: "m", endKey: "m" }, 1)!, /range is empty/);
    assert.equal(cluster.regions.get(7)?.leaderStoreId, 1);
  });

  it("takes a newer epoch from an old leader, but not its leadership", () => {
    const { report, cluster } = setUp();
    report(base, 2, 8);
    assert.match(report({ ...base, confVer: 6 }, 1, 7)!, /term 7 is older than 8/);
    const { confVer, leaderStoreId, term } = cluster.regions.get(7)!;
    assert.deepEqual([confVer, leaderStoreId, term], [6, 2, 8]);
  });

  it("proves to a store that its peer has left the region", () => {
    const { report, destroyed } = setUp();
    report(base, 1);
    report({ ...sampleDescriptor(7, [1, 2]), confVer: 6 }, 1);
    assert.deepEqual(destroyed, ["3: 703 by confVer 6"]);
    assert.match(report(base, 3)!, /older/);
    assert.deepEqual(destroyed, ["3: 703 by confVer 6", "3: 703 by confVer 6"], "a stale leader is told as well");
  });

  it("settles a store's claim to a peer by the region's next report", () => {
    const { report, destroyed, claim } = setUp();
    report(base, 1);
    claim(4, 704);
    report(base, 1);
    assert.deepEqual(destroyed, ["4: 704 by confVer 5"]);
    claim(3, 703);
    report(base, 1);
    assert.equal(destroyed.length, 1, "a member is never destroyed");
  });

  it("counts and skips a handler that throws, and drops the report where the handler is required", () => {
    const { pipeline, report, failures } = setUp();
    const seen: RegionReport[] = [];
    const broken = { name: "broken", handle: () => raise() };
    pipeline.registerHandler(broken, "statistics");
    pipeline.registerHandler({ name: "last", handle: (r) => void seen.push(r) });
    assert.equal(report(base, 1), undefined);
    assert.equal(seen.length, 1);
    pipeline.registerHandler({ ...broken, name: "gate", isRequired: true }, "validate");
    assert.equal(report(base, 1), "gate failed");
    assert.deepEqual(failures, ["broken", "gate"]);
    assert.equal(pipeline.counters().find(({ name }) => name === "broken")?.failed, 1);
    assert.throws(() => pipeline.registerHandler(broken), /is there already/);
    assert.throws(() => pipeline.registerHandler({ ...broken, name: "x" }, "nowhere"), /no heartbeat handler/);
  });

  it("evicts an older region that overlaps and keeps a newer one", () => {
    const { report, cluster } = setUp();
    report(base, 1);
    const child = { ...sampleDescriptor(9, [2, 1, 3], [], { startKey: "m", endKey: "" }), version: 4 };
    assert.equal(report(child, 2), undefined);
    assert.equal(cluster.regions.get(7), undefined);
    assert.match(report(base, 1)!, /older than region 9/);
    assert.equal(report({ ...base, endKey: "m", version: 4 }, 1), undefined);
    assert.equal(cluster.regions.findHole(), undefined);
    addSampleRegion(cluster, child);
  });
});

function raise(): never {
  throw new Error("broken on purpose");
}
