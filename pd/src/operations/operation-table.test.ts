import { strict as assert } from "node:assert";
import { StepKind } from "@rhea/proto";
import {
  addSampleRegion,
  addSampleStore,
  NOW,
  sampleCluster,
  sampleDescriptor,
  sampleTable,
} from "../testing/samples.js";
import { PRIORITY, type Proposal } from "./operation.js";
import type { Step } from "./step.js";

const proposal = (steps: readonly Step[], more: Partial<Proposal> = {}): Proposal => ({
  ...{ regionId: 7, kind: "balance-region", origin: "scheduler", priority: PRIORITY.balance, reason: "test" },
  ...{ steps, ...more },
});
const transferTo2: Step = { kind: "transferLeader", storeId: 2, peerId: 702 };
const move: readonly Step[] = [
  { kind: "addLearner", storeId: 4, peerId: 0 },
  { kind: "promote", storeId: 4, peerId: 0 },
  { kind: "removePeer", storeId: 3, peerId: 703 },
];

function setUp(voters = [1, 2, 3]) {
  const cluster = sampleCluster(4);
  addSampleRegion(cluster, sampleDescriptor(7, voters));
  return { cluster, table: sampleTable(cluster), region: () => cluster.regions.get(7)! };
}

describe("OperationTable", () => {
  it("runs one operation per region; only a more urgent one replaces it", () => {
    const { table } = setUp();
    assert.equal(table.add(proposal([transferTo2]), NOW).kind, "added");
    assert.equal(table.add(proposal([transferTo2]), NOW).kind, "refused");
    const urgent = table.add(
      proposal([transferTo2], { kind: "drain-leader", origin: "checker", priority: PRIORITY.normal }),
      NOW,
    );
    assert.equal(urgent.kind, "added");
    assert.equal(table.runningCount, 1);
    assert.equal(table.finished()[0]?.state, "replaced");
    assert.equal(table.countOf("balance-region"), 0);
  });

  it("walks through a move by the region's reports alone", () => {
    const { cluster, table, region } = setUp();
    table.add(proposal(move), NOW);
    const first = table.command(region(), NOW)!;
    assert.equal(first.kind, StepKind.ADD_LEARNER);
    const peerId = first.peer!.peerId!;
    assert.equal(table.influence(4).incoming, 1);

    const withLearner = { ...sampleDescriptor(7, [1, 2, 3]), confVer: 6 };
    const learner = { peerId, storeId: 4, role: 1 } as const;
    addSampleRegion(
      cluster,
      { ...withLearner, peers: [...withLearner.peers, learner] },
      { caughtUpPeerIds: [], pendingPeerIds: [peerId] },
    );
    table.advance(region(), NOW);
    assert.equal(table.command(region(), NOW), undefined, "nothing is sent while the learner catches up");

    addSampleRegion(cluster, { ...withLearner, peers: [...withLearner.peers, learner] }, { caughtUpPeerIds: [peerId] });
    table.advance(region(), NOW);
    const promote = table.command(region(), NOW)!;
    assert.deepEqual([promote.kind, promote.stepIndex, promote.epoch?.confVer], [StepKind.PROMOTE, 1, 6]);

    addSampleRegion(cluster, { ...withLearner, confVer: 7, peers: [...withLearner.peers, { ...learner, role: 0 }] });
    table.advance(region(), NOW);
    assert.equal(table.command(region(), NOW)?.kind, StepKind.REMOVE_PEER);

    const done = {
      ...withLearner,
      confVer: 8,
      peers: [...withLearner.peers.slice(0, 2), { ...learner, role: 0 as const }],
    };
    addSampleRegion(cluster, done);
    table.advance(region(), NOW);
    assert.equal(table.finished()[0]?.state, "succeeded");
  });

  it("cancels an operation whose region's members were changed by somebody else", () => {
    const { cluster, table, region } = setUp();
    table.add(proposal(move), NOW);
    addSampleRegion(cluster, { ...sampleDescriptor(7, [1, 2]), confVer: 6 });
    table.advance(region(), NOW);
    assert.equal(table.finished()[0]?.state, "cancelled");
    assert.match(table.finished()[0]!.message, /membership changed elsewhere/);
  });

  it("goes on with a move when the region is split meanwhile", () => {
    const { cluster, table, region } = setUp();
    table.add(proposal(move), NOW);
    addSampleRegion(cluster, { ...sampleDescriptor(7, [1, 2, 3]), version: 4, endKey: "m" });
    table.advance(region(), NOW);
    assert.deepEqual(table.command(region(), NOW)?.epoch, { confVer: 5, version: 4 });
  });

  it("transfers the leadership first when the peer to remove leads", () => {
    const { table, region } = setUp([1, 2, 3]);
    table.add(proposal([{ kind: "removePeer", storeId: 1, peerId: 701 }]), NOW);
    assert.equal(table.command(region(), NOW)?.kind, StepKind.TRANSFER_LEADER);
  });

  it("holds a removal back while the live voters would not be a majority", () => {
    const { cluster, table, region } = setUp();
    cluster.stores.setConnected(2, false);
    table.add(proposal([{ kind: "removePeer", storeId: 3, peerId: 703 }]), NOW);
    assert.equal(table.command(region(), NOW), undefined);
    assert.match(table.of(7)!.message, /1 of 2 voters are live, 2 needed/);
    cluster.stores.setConnected(2, true);
    assert.equal(table.command(region(), NOW)?.kind, StepKind.REMOVE_PEER);
  });

  it("never transfers to a learner, a pending peer, or a store that leaders leave", () => {
    const { cluster, table, region } = setUp();
    table.add(proposal([transferTo2]), NOW);
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2, 3]), { pendingPeerIds: [702] });
    assert.equal(table.command(region(), NOW), undefined);
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2, 3]));
    cluster.stores.setEvictLeaders(2, NOW + 1000);
    assert.equal(table.command(region(), NOW), undefined);
    assert.equal(table.command(region(), NOW + 1001)?.kind, StepKind.TRANSFER_LEADER);
  });

  it("times out, and holds the same kind back on that region for longer each time", () => {
    const { cluster, table } = setUp();
    table.add(proposal([transferTo2]), NOW);
    table.tick(NOW + 15_001);
    assert.equal(table.finished()[0]?.state, "timed-out");
    assert.ok(table.isHeldBack(7, "balance-region", NOW + 15_001 + 4_999));
    assert.ok(!table.isHeldBack(7, "balance-region", NOW + 15_001 + 5_000));
    addSampleRegion(cluster, sampleDescriptor(7, [1, 2, 3]), { reportedAtMs: NOW + 40_000 });
    table.add(proposal([transferTo2]), NOW + 30_000);
    table.tick(NOW + 50_000);
    assert.ok(table.isHeldBack(7, "balance-region", NOW + 50_000 + 9_999));
  });

  it("expires when no leader ever reports, and gives up a new peer on a store that is lost", () => {
    const { cluster, table } = setUp();
    table.add(proposal(move), NOW + 1);
    table.tick(NOW + 30_002);
    assert.equal(table.finished()[0]?.state, "expired");
    table.add(proposal(move, { kind: "make-up", origin: "checker" }), NOW);
    cluster.stores.setIntent(4, { diskLost: true, diskLostReason: "test" });
    table.tick(NOW + 1);
    assert.match(table.finished()[0]!.message, /store 4 of the new peer is down/);
  });

  it("fails at a refusal that repeating cannot change, and goes on after others", () => {
    const { table, cluster } = setUp();
    const added = table.add(proposal([{ kind: "split", splitKey: "", childRegionId: 0, childPeerIds: [] }]), NOW);
    assert.ok(added.kind === "added");
    const { operationId } = added.operation;
    const result = (code: string) => ({
      ...{ operationId, regionId: 7, stepIndex: 0 },
      error: {
        ...{ code, message: "no key", regionId: 7, currentRegions: [], leader: null },
        leaderAddress: "",
        retryAfterMs: 0,
        maybeApplied: false,
      },
    });
    table.command(cluster.regions.get(7)!, NOW);
    table.hold(result("CONF_CHANGE_BUSY"), NOW + 1);
    table.onStepResult(result("CONF_CHANGE_BUSY"), NOW + 1);
    assert.equal(table.runningCount, 1);
    assert.equal(table.command(cluster.regions.get(7)!, NOW + 2), undefined, "not repeated at once");
    assert.deepEqual(table.due(NOW + 301), [7]);
    assert.equal(table.command(cluster.regions.get(7)!, NOW + 301)?.kind, StepKind.SPLIT);
    assert.deepEqual(table.due(NOW + 302), []);
    assert.deepEqual(table.due(NOW + 2301), [7]);
    table.onStepResult(result("OPERATION_REFUSED"), NOW);
    assert.equal(table.finished()[0]?.state, "failed");
  });

  it("gives a split one child id and one child peer id per peer, all new", () => {
    const { cluster, table, region } = setUp();
    addSampleStore(cluster, 5);
    table.add(proposal([{ kind: "split", splitKey: "k", childRegionId: 0, childPeerIds: [] }]), NOW);
    const step = table.command(region(), NOW)!;
    assert.equal(step.childPeerIds?.length, 3);
    assert.equal(new Set([step.operationId, step.childRegionId, ...step.childPeerIds]).size, 5);
  });
});
