import assert from "node:assert/strict";
import { grpcNet, nodeClock, nodeScheduler } from "@rhea/common/env-node";
import { CommandKind, ReadKind } from "@rhea/proto";
import { createCliService } from "@rhea/raft";
import { TestCluster } from "../env-node/test-cluster.js";

const bytes = (text: string): Buffer => Buffer.from(text);
const FIRST = {
  regionId: 2,
  startKey: bytes(""),
  endKey: bytes(""),
  voters: [1, 2, 3].map((storeId) => ({ storeId, peerId: 10 + storeId })),
};

for (const kind of ["leveldb", "memory"] as const) {
  describe(`engines on real raft (${kind})`, function () {
    this.timeout(60_000);
    let cluster: TestCluster;
    beforeEach(() => {
      cluster = new TestCluster([FIRST], kind);
    });
    afterEach(async () => {
      const { fatal } = cluster;
      await cluster.destroy();
      assert.deepEqual(fatal, []);
    });

    const put = (regionId: number, key: string, value: string) =>
      cluster.until(`put ${key}`, async () =>
        (await cluster.leader(regionId)).execute({ kind: CommandKind.CMD_PUT, key: bytes(key), value: bytes(value) }),
      );
    const get = async (regionId: number, key: string): Promise<string | undefined> => {
      const read = { kind: ReadKind.READ_GET, key: bytes(key) };
      const { value } = await cluster.until(`get ${key}`, async () => (await cluster.leader(regionId)).read(read));
      return value === null ? undefined : Buffer.from(value).toString();
    };
    const local = (storeId: number, regionId: number, key: string) =>
      cluster.engine(storeId).region(regionId)?.getLocal(bytes(key))?.toString();

    it("replicate to all, split everywhere, and go on after a restart of everything", async () => {
      for (const storeId of [1, 2, 3]) await cluster.start(storeId);
      for (let i = 0; i < 20; i++) await put(2, `k${String(i).padStart(2, "0")}`, `v${i}`);
      await (await cluster.leader(2)).split(bytes("k10"), 20, [21, 22, 23]);
      await put(20, "k15", "new");
      assert.equal(await get(2, "k05"), "v5");
      assert.equal(await get(20, "k15"), "new");
      for (const storeId of [1, 2, 3]) {
        await cluster.until(`the child on store ${storeId}`, () => local(storeId, 20, "k15") === "new" || undefined);
      }
      for (const storeId of [1, 2, 3]) await cluster.stop(storeId);
      for (const storeId of [1, 2, 3]) await cluster.start(storeId);
      assert.equal(await get(2, "k05"), "v5");
      assert.equal(await get(20, "k15"), "new");
      assert.deepEqual(cluster.engine(1).faults(), []);
    });

    it("bring a new peer up by a snapshot, promote it, remove another, which clears its data", async () => {
      for (const storeId of [1, 2, 3, 4]) await cluster.start(storeId);
      for (let i = 0; i < 50; i++) await put(2, `k${i}`, "x".repeat(1_000));
      const session = { clientId: Buffer.alloc(16, 9), seq: 1, lowestOutstanding: 1, issuedAt: 1 };
      const take = { kind: CommandKind.CMD_GET_SEQUENCE, key: bytes("s"), step: 5, ...session };
      await (await cluster.leader(2)).execute(take);
      await cluster.until("the learner", async () => {
        await (await cluster.leader(2)).addPeer({ peerId: 99, storeId: 4, role: "learner" });
        return true;
      });
      await cluster.until("the snapshot", () => local(4, 2, "k49"));
      await cluster.until("the promotion", async () => {
        await (await cluster.leader(2)).addPeer({ peerId: 99, storeId: 4, role: "voter" });
        return true;
      });
      const leader = await cluster.leader(2);
      const victim = leader.descriptor.peers.find(({ peerId, storeId }) => peerId !== leader.peerId && storeId !== 4);
      assert.ok(victim);
      await leader.removePeer(victim.peerId);
      await put(2, "after", "1");
      const { descriptor } = await cluster.leader(2);
      assert.deepEqual(descriptor.epoch, { confVer: 4, version: 1 });
      const gone = cluster.engine(victim.storeId);
      await cluster.until("the removed peer's end", async () => {
        if (gone.region(2) === undefined) return true;
        return (await gone.destroyPeer(2, victim.peerId, descriptor)) || undefined;
      });
      await cluster.until("the promoted peer's lead", async () => {
        await (await cluster.leader(2)).transferLeadershipTo(99);
        return true;
      });
      const again = await cluster.until("the retry", async () => (await cluster.leader(2)).execute(take));
      assert.deepEqual([again.sequenceStart, again.sequenceEnd], [0, 5], "the session came with the snapshot");
      assert.equal(await get(2, "after"), "1");
    });

    it("go on from one peer of three by force, over a restart and with a lost one back", async () => {
      for (const storeId of [1, 2, 3]) await cluster.start(storeId);
      await put(2, "before", "1");
      for (const storeId of [1, 2, 3]) {
        await cluster.until(`the write on store ${storeId}`, () => local(storeId, 2, "before"));
      }
      const { storeId: last = 0, peerId } = (await cluster.leader(2)).descriptor.peers[0] ?? { peerId: 0 };
      const lost = [1, 2, 3].filter((storeId) => storeId !== last);
      for (const storeId of lost) await cluster.stop(storeId);
      const cli = createCliService({ net: grpcNet(), clock: nodeClock, scheduler: nodeScheduler });
      const left = { peerId, storeId: last, role: "voter", address: cluster.addressOf(last) } as const;
      await cluster.until("the reset", () => cli.resetPeer(2, left, [left]));
      cli.close();
      await put(2, "after", "1");
      await cluster.stop(last);
      await cluster.start(last);
      assert.deepEqual([await get(2, "before"), await get(2, "after")], ["1", "1"]);
      const { epoch, peers } = (await cluster.leader(2)).descriptor;
      assert.deepEqual([epoch.confVer, peers.map(({ storeId }) => storeId)], [1_001, [last]]);
      // One alone: two would be a quorum of the old configuration.
      await cluster.start(lost[0] ?? 0);
      await put(2, "with a lost one back", "1");
      assert.equal((await cluster.leader(2)).peerId, peerId);
    });

    it("replay deleteRange and what is around it after a restart", async () => {
      for (const storeId of [1, 2, 3]) await cluster.start(storeId);
      for (const key of ["a1", "a2", "b1"]) await put(2, key, "x");
      await (
        await cluster.leader(2)
      ).execute({ kind: CommandKind.CMD_DELETE_RANGE, key: bytes("a"), endKey: bytes("b") });
      await put(2, "a2", "again");
      for (const storeId of [1, 2, 3]) await cluster.stop(storeId);
      for (const storeId of [1, 2, 3]) await cluster.start(storeId);
      assert.deepEqual([await get(2, "a1"), await get(2, "a2"), await get(2, "b1")], [undefined, "again", "x"]);
    });
  });
}
