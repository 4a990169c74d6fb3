import { strict as assert } from "node:assert";
import { addSampleRegion, sampleCluster, sampleContext, sampleDescriptor } from "../testing/samples.js";
import { planRequest, type OperationRequest } from "./requests.js";

const request = (more: Partial<OperationRequest>): OperationRequest => ({
  ...{
    kind: "add-peer",
    regionId: 7,
    storeId: 0,
    fromStoreId: 0,
    peerId: 0,
    splitKey: "",
    origin: "operator",
    reason: "test",
  },
  ...more,
});

function setUp(voters = [1, 2, 3], learners: number[] = [], stores = 5) {
  const cluster = sampleCluster(stores, { repair: "operator" });
  addSampleRegion(cluster, sampleDescriptor(7, voters, learners, { startKey: "b", endKey: "y" }));
  const plan = (more: Partial<OperationRequest>) => planRequest(request(more), sampleContext(cluster));
  const kinds = (more: Partial<OperationRequest>) => {
    const outcome = plan(more);
    return outcome.kind === "done" ? "done" : outcome.proposal.steps.map(({ kind }) => kind).join(" ");
  };
  return { cluster, plan, kinds };
}

const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

describe("planRequest", () => {
  it("finds an add, a removal, a transfer and a split done when they are", () => {
    const { kinds } = setUp();
    assert.equal(kinds({ kind: "add-peer", storeId: 3 }), "done");
    assert.equal(kinds({ kind: "remove-peer", storeId: 4 }), "done");
    assert.equal(kinds({ kind: "transfer-leader", storeId: 1 }), "done");
    assert.equal(kinds({ kind: "split", splitKey: "b" }), "done");
    assert.equal(kinds({ kind: "replace-peer", fromStoreId: 4 }), "done");
  });

  it("replaces a dead peer: add, promote, remove", () => {
    const { cluster, kinds } = setUp();
    cluster.stores.setIntent(3, { diskLost: true, diskLostReason: "test" });
    assert.equal(kinds({ kind: "replace-peer", fromStoreId: 3, storeId: 5 }), "addLearner promote removePeer");
    assert.equal(kinds({ kind: "replace-peer", fromStoreId: 3 }), "addLearner promote removePeer");
  });

  it("only removes when an earlier replacement has added the new voter already", () => {
    const { cluster, kinds } = setUp([1, 2, 3, 5]);
    cluster.stores.setIntent(3, { diskLost: true, diskLostReason: "test" });
    assert.equal(kinds({ kind: "replace-peer", fromStoreId: 3, storeId: 5 }), "removePeer");
    assert.equal(kinds({ kind: "replace-peer", fromStoreId: 3, storeId: 4 }), "removePeer");
  });

  it("refuses a replacement by a voter that is there already: the region would have one less", () => {
    const { plan } = setUp();
    assert.throws(() => plan({ kind: "replace-peer", fromStoreId: 3, storeId: 2 }), /has voter 702 of it already/);
  });

  it("goes on with the learner of an earlier replacement", () => {
    const { cluster, plan } = setUp([1, 2, 3], [5]);
    cluster.stores.setIntent(3, { diskLost: true, diskLostReason: "test" });
    const outcome = plan({ kind: "replace-peer", fromStoreId: 3, storeId: 5 });
    assert.ok(outcome.kind === "propose");
    assert.deepEqual(outcome.proposal.steps[0], { kind: "addLearner", storeId: 5, peerId: 705 });
  });

  it("refuses with the arithmetic what would take the majority away", () => {
    const { cluster, plan } = setUp();
    cluster.stores.setConnected(2, false);
    assert.throws(() => plan({ kind: "remove-peer", storeId: 3 }), /1 of 2 voters are live, 2 needed/);
    cluster.stores.setConnected(3, false);
    assert.throws(() => plan({ kind: "replace-peer", fromStoreId: 3, storeId: 5 }), /1 of 3 voters are live, 2 needed/);
    assert.throws(() => setUp([1]).plan({ kind: "remove-peer", storeId: 1 }), /only voter/);
  });

  it("refuses unknown regions and stores, wrong targets and keys outside", () => {
    const { cluster, plan } = setUp([1, 2, 3], [4]);
    assert.throws(() => plan({ regionId: 99 }), code("NOT_FOUND"));
    assert.throws(() => plan({ storeId: 99 }), code("NOT_FOUND"));
    assert.throws(() => plan({ kind: "transfer-leader", storeId: 4 }), code("OPERATION_REFUSED"));
    assert.throws(() => plan({ kind: "replace-peer", fromStoreId: 3, storeId: 3 }), code("INVALID_ARGUMENT"));
    assert.throws(() => plan({ kind: "split", splitKey: "z" }), code("KEY_NOT_IN_REGION"));
    assert.throws(() => plan({ kind: "make-up" }), code("INVALID_ARGUMENT"));
    cluster.stores.setConnected(5, false);
    assert.throws(() => plan({ storeId: 5 }), /store 5 can take no peer: down or disconnected/);
  });
});
