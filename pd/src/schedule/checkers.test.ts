import { strict as assert } from "node:assert";
import type { Proposal } from "../operations/index.js";
import {
  addSampleRegion,
  addSampleStore,
  NOW,
  sampleCluster,
  sampleContext,
  sampleDescriptor,
  sampleTable,
} from "../testing/samples.js";
import type { Cluster } from "../cluster/index.js";
import { checkRegion } from "./schedule.js";

const check = (cluster: Cluster, nowMs = NOW): Proposal | undefined =>
  checkRegion(cluster.regions.get(7)!, sampleContext(cluster, undefined, nowMs));
const target = (proposal: Proposal | undefined) => {
  const step = proposal?.steps.find(({ kind }) => kind === "addLearner");
  return step !== undefined && "storeId" in step ? step.storeId : undefined;
};
const drain = (cluster: Cluster, storeId: number) =>
  cluster.stores.setIntent(storeId, { lifecycle: "draining", drainTotal: 1, drainOrigin: "user" });

describe("checkers", () => {
  it("propose nothing for a region in full health", () => {
    const cluster = sampleCluster(5);
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2, 3]));
    assert.equal(check(cluster), undefined);
  });

  it("propose nothing without a live leader", () => {
    const cluster = sampleCluster(5);
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2]), { leaderPeerId: 0, leaderStoreId: 0 });
    assert.equal(check(cluster), undefined);
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2]));
    cluster.stores.setConnected(1, false);
    assert.equal(check(cluster), undefined);
  });

  it("make up a missing voter: learner, then promotion, on the smallest store", () => {
    const cluster = sampleCluster(4);
    addSampleRegion(cluster, sampleDescriptor(8, [3, 1, 2], [], { startKey: "x", endKey: "" }), {
      approximateSize: 5e7,
    });
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2], [], { startKey: "", endKey: "x" }));
    const proposal = check(cluster);
    assert.deepEqual(
      proposal?.steps.map(({ kind }) => kind),
      ["addLearner", "promote"],
    );
    assert.equal(target(proposal), 4);
    assert.match(proposal.reason, /2 of 3 voters.*store 4 \(0 regions, 0\.0 MiB.*best of 2/);
  });

  it("give up a learner that does not become a voter again and again", () => {
    const cluster = sampleCluster(4);
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2], [3]), { caughtUpPeerIds: [701, 702], pendingPeerIds: [703] });
    const table = sampleTable(cluster);
    let nowMs = NOW;
    const next = () => {
      for (const storeId of [1, 2, 3, 4]) cluster.stores.heard(storeId, null, nowMs);
      const proposal = checkRegion(cluster.regions.get(7)!, sampleContext(cluster, table, nowMs))!;
      table.add(proposal, nowMs);
      cluster.regions.report(7, { ...cluster.regions.get(7)!, reportedAtMs: nowMs });
      nowMs += 600_001;
      table.tick(nowMs);
      nowMs += 20_000; // what has failed waits a while
      return proposal.steps.map(({ kind }) => kind).join(" ");
    };
    assert.deepEqual([next(), next(), next()], ["addLearner promote", "addLearner promote", "removePeer"]);
  });

  it("count configured peers in the make-up, down ones included", () => {
    const cluster = sampleCluster(5, { repair: "operator" });
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2, 3]), { downPeerIds: [703] });
    cluster.stores.setIntent(3, { diskLost: true, diskLostReason: "test" });
    assert.equal(check(cluster), undefined);
  });

  it("go on with a learner that is there instead of adding another", () => {
    const cluster = sampleCluster(5);
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2], [5]));
    assert.deepEqual(check(cluster)?.steps[1], { kind: "promote", storeId: 5, peerId: 705 });
  });

  const unfit: [string, Parameters<typeof addSampleStore>[2]][] = [
    ["busy", { stats: { isBusy: true } }],
    ["full", { stats: { capacity: 1e12, available: 5e8 } }],
    ["shutting down", { stats: { drainingLeaders: true } }],
    ["loaded with snapshots", { stats: { receivingSnapCount: 8 } }],
  ];
  for (const [what, options] of unfit) {
    it(`never place a peer on a store that is ${what}`, () => {
      const cluster = sampleCluster(2);
      addSampleStore(cluster, 3, options);
      addSampleRegion(cluster, sampleDescriptor(7, [1, 2]));
      assert.equal(check(cluster), undefined);
      addSampleStore(cluster, 4);
      assert.equal(target(check(cluster)), 4);
    });
  }

  it("never place a peer on a disconnected, draining or down store", () => {
    const cluster = sampleCluster(6);
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2]));
    cluster.stores.setConnected(3, false);
    drain(cluster, 4);
    cluster.stores.setIntent(5, { diskLost: true, diskLostReason: "test" });
    assert.equal(target(check(cluster)), 6);
  });

  it("replace a peer of a down store after max_down_time, and only where PD repairs", () => {
    const later = NOW + 1_800_001;
    for (const repair of ["pd", "operator"] as const) {
      const cluster = sampleCluster(4, { repair });
      addSampleRegion(cluster, sampleDescriptor(7, [1, 2, 3]));
      for (const storeId of [1, 2, 4]) cluster.stores.heard(storeId, null, later);
      cluster.stores.setConnected(3, false);
      assert.equal(check(cluster, later - 2), undefined);
      const proposal = check(cluster, later);
      assert.deepEqual(
        proposal?.steps.map(({ kind }) => kind),
        repair === "pd" ? ["addLearner", "promote", "removePeer"] : undefined,
      );
    }
  });

  it("replace a peer on a tombstone even under an operator: it has forgotten that store", () => {
    const cluster = sampleCluster(4, { repair: "operator" });
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2], [3]));
    cluster.stores.setIntent(3, { lifecycle: "tombstone" });
    assert.deepEqual(check(cluster)?.steps, [{ kind: "removePeer", storeId: 3, peerId: 703 }]);
  });

  it("choose no surplus voter before every store that is not down is connected", () => {
    const cluster = sampleCluster(4);
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2, 3, 4]));
    cluster.stores.setConnected(2, false);
    drain(cluster, 4);
    assert.notDeepEqual(check(cluster)?.steps, [{ kind: "removePeer", storeId: 2, peerId: 702 }]);
    cluster.stores.setIntent(4, { lifecycle: "up" });
    assert.equal(check(cluster), undefined);
    for (const storeId of [1, 3, 4]) cluster.stores.heard(storeId, null, NOW + 20_001);
    assert.deepEqual(check(cluster, NOW + 20_001)?.steps, [{ kind: "removePeer", storeId: 2, peerId: 702 }]);
  });

  it("remove a peer of a lost store at once when enough other voters are live", () => {
    const cluster = sampleCluster(4);
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2, 3, 4]));
    cluster.stores.setIntent(3, { diskLost: true, diskLostReason: "test" });
    assert.deepEqual(check(cluster)?.steps, [{ kind: "removePeer", storeId: 3, peerId: 703 }]);
  });

  it("rebuild a broken peer in place, unless that would cost the majority", () => {
    const cluster = sampleCluster(3);
    const fault = { regionId: 7, peerId: 703, code: "CORRUPTION", message: "bad" };
    addSampleStore(cluster, 3, { stats: { faults: [fault] } });
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2, 3]));
    assert.deepEqual(
      check(cluster)?.steps.map(({ kind }) => kind),
      ["removePeer", "addLearner", "promote"],
    );
    assert.equal(target(check(cluster)), 3);
    cluster.stores.setConnected(2, false);
    assert.equal(check(cluster), undefined);
  });

  it("move the leader off a draining store before its peer", () => {
    const cluster = sampleCluster(4);
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2, 3]));
    drain(cluster, 1);
    assert.equal(check(cluster)?.kind, "drain-leader");
    addSampleRegion(cluster, sampleDescriptor(7, [2, 1, 3]));
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2, 3]), { leaderPeerId: 702, leaderStoreId: 2 });
    const proposal = check(cluster);
    assert.equal(proposal?.kind, "drain-region");
    assert.equal(target(proposal), 4);
    assert.match(proposal.reason, /1 of 1 regions left/);
  });

  it("remove an extra voter: a lost one first, never the leader's", () => {
    const cluster = sampleCluster(4, { repair: "operator" });
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2, 3, 4]));
    cluster.stores.setIntent(2, { diskLost: true, diskLostReason: "test" });
    assert.deepEqual(check(cluster)?.steps, [{ kind: "removePeer", storeId: 2, peerId: 702 }]);
    cluster.stores.setIntent(2, { diskLost: false, diskLostReason: "" });
    const step = check(cluster)?.steps[0];
    assert.ok(step?.kind === "removePeer" && step.storeId !== 1);
  });

  it("remove a learner that no operation minds", () => {
    const cluster = sampleCluster(4);
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2, 3], [4]));
    assert.deepEqual(check(cluster)?.steps, [{ kind: "removePeer", storeId: 4, peerId: 704 }]);
  });

  it("split above the size or the number of keys", () => {
    const cluster = sampleCluster(3);
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2, 3]), { approximateSize: 97 * 1024 ** 2 });
    assert.match(check(cluster)!.reason, /97\.0 MiB, 96\.0 MiB allowed/);
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2, 3]), { approximateKeys: 960_001 });
    assert.equal(check(cluster)?.kind, "split");
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2, 3]), { approximateKeys: 960_000 });
    assert.equal(check(cluster), undefined);
  });

  it("leave a joint configuration that stays", () => {
    const cluster = sampleCluster(3);
    const joint = sampleDescriptor(7, [1, 2, 3]);
    addSampleRegion(cluster, {
      ...joint,
      peers: joint.peers.map((p, i) => (i === 2 ? { ...p, role: 2 as const } : p)),
    });
    assert.equal(check(cluster, NOW + 9_999), undefined);
    assert.equal(check(cluster, NOW + 10_000)?.kind, "leave-joint");
  });

  const placed = (...places: Record<string, string>[]) => {
    const cluster = sampleCluster(0);
    places.forEach((labels, i) => addSampleStore(cluster, i + 1, { labels }));
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2, 3]));
    return cluster;
  };
  const [a, b, c] = [{ zone: "a" }, { zone: "b" }, { zone: "c" }];

  it("move a follower's peer to a better place by labels, and only for a strict gain", () => {
    const proposal = check(placed(a, a, b, c));
    assert.equal(proposal?.kind, "better-place");
    assert.deepEqual(proposal.steps.at(-1), { kind: "removePeer", storeId: 2, peerId: 702 });
    assert.equal(target(proposal), 4);
    assert.match(proposal.reason, /worth 100, it would share 0 on store 4/);
    assert.equal(check(placed(a, a, b, b)), undefined);
    assert.equal(check(placed(a, b, c, {})), undefined);
    assert.equal(check(placed({}, {}, {}, a)), undefined);
  });

  it("tell racks and hosts apart where the zone is the same", () => {
    const at = (rack: string, host: string) => ({ zone: "a", rack, host });
    assert.equal(target(check(placed(at("1", "x"), at("1", "y"), at("2", "z"), at("3", "v")))), 4);
    assert.equal(target(check(placed(at("1", "x"), at("1", "x"), at("1", "z"), at("1", "v")))), 4);
    assert.equal(check(placed(at("1", "x"), at("2", "y"), at("3", "z"), at("4", "v"))), undefined);
    // Racks of different zones are different though they have one name.
    assert.equal(check(placed({ zone: "a", rack: "1" }, { zone: "b", rack: "1" }, c, {})), undefined);
  });

  it("leave a badly placed region alone while a voter is silent, a peer leaves, or balancing is off", () => {
    const silent = placed(a, a, b, c);
    addSampleRegion(silent, sampleDescriptor(7, [1, 2, 3]), { downPeerIds: [703] });
    assert.equal(check(silent), undefined);
    const evicting = placed(a, a, b, c);
    evicting.stores.setEvictLeaders(4, NOW + 1000);
    assert.equal(check(evicting), undefined);
    const off = placed(a, a, b, c);
    off.settings = { ...off.settings, regionBalanceLimit: 0 };
    assert.equal(check(off), undefined);
  });
});
