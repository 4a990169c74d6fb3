import assert from "node:assert/strict";
import { RheaError } from "@rhea/common";
import { wireError } from "../test-support/fake-cluster.js";
import { makeWorld } from "../test-support/world.js";

const rejection = async (promise: Promise<unknown>): Promise<RheaError> =>
  promise.then(
    () => assert.fail("it should have been rejected"),
    (error: unknown) => {
      assert.ok(error instanceof RheaError, String(error));
      return error;
    },
  );

describe("sender", () => {
  describe("batching", () => {
    it("sends the operations of one turn in one message per store", async () => {
      const { client, cluster, time } = await makeWorld(["g", "p"]);
      await time.until(client.ready());
      cluster.messages.length = 0;
      const keys = Array.from({ length: 256 }, (_, i) => `${"ahq"[i % 3]}/${i}`);
      await time.until(Promise.all(keys.map((key) => client.put(key, key))));
      assert.deepEqual(
        cluster.messages.map(({ storeId, operations }) => [storeId, operations]).sort(),
        [1, 2, 3].map((storeId) => [storeId, storeId === 1 ? 86 : 85]),
      );
      assert.equal(cluster.applied.length, 256);
    });

    it("groups the regions of one store in its message", async () => {
      const { client, cluster, time } = await makeWorld(["g"]);
      cluster.region(11).leader = 1;
      await time.until(client.ready());
      await time.until(Promise.all([client.put("a", "1"), client.put("x", "2"), client.get("b")]));
      assert.deepEqual(cluster.messages, [{ storeId: 1, operations: 3, regions: 2 }]);
    });

    it("sends each operation alone when batching is off", async () => {
      const { client, cluster, time } = await makeWorld([], { batching: false });
      await time.until(client.ready());
      await time.until(Promise.all([client.put("a", "1"), client.put("b", "2")]));
      assert.deepEqual(
        cluster.messages.map(({ operations }) => operations),
        [1, 1],
      );
    });

    it("divides a turn that exceeds the message limit", async () => {
      const { client, cluster, time } = await makeWorld([], { maxMessageBytes: 1024 });
      await time.until(client.ready());
      await time.until(Promise.all(Array.from({ length: 10 }, (_, i) => client.put(`k${i}`, "x".repeat(300)))));
      assert.ok(cluster.messages.length >= 4, String(cluster.messages.length));
      assert.equal(cluster.applied.length, 10);
    });

    it("waits for answers when a store has its fill of operations", async () => {
      const { client, cluster, time } = await makeWorld([], { maxInflightPerStore: 4 });
      await time.until(client.ready());
      await time.until(Promise.all(Array.from({ length: 10 }, (_, i) => client.put(`k${i}`, "v"))));
      assert.deepEqual(
        cluster.messages.map(({ operations }) => operations),
        [4, 4, 2],
      );
    });

    it("waits while a stream is full", async () => {
      const { client, cluster, net, time } = await makeWorld();
      await time.until(client.put("a", "1"));
      const [stream] = net.streamsTo(cluster.address(1));
      assert.ok(stream);
      stream.isFull = true;
      const first = client.put("b", "2");
      await time.settle();
      const second = client.put("c", "3");
      await time.settle();
      assert.equal(cluster.messages.length, 2, "the message that found the stream full was still queued on it");
      stream.drain();
      await time.until(Promise.all([first, second]));
      assert.equal(cluster.messages.length, 3);
    });
  });

  describe("leaders", () => {
    it("follows a hint without a lookup and remembers it", async () => {
      const { client, cluster, time } = await makeWorld();
      await time.until(client.put("a", "1"));
      const { lookups } = cluster;
      cluster.region(10).leader = 3;
      await time.until(client.put("a", "2"));
      await time.until(client.put("a", "3"));
      assert.equal(cluster.lookups, lookups);
      assert.deepEqual(
        cluster.seen.map(({ storeId }) => storeId),
        [1, 1, 3, 3],
      );
    });

    it("goes through the other replicas while there is no leader, and finds the new one", async () => {
      const { client, cluster, time } = await makeWorld();
      await time.until(client.put("a", "1"));
      cluster.region(10).leader = 0;
      const write = client.put("a", "2");
      await time.advance(1_500);
      cluster.region(10).leader = 2;
      const before = time.nowMs;
      await time.until(write);
      assert.ok(time.nowMs - before <= 200, `${time.nowMs - before} ms after the election`);
      assert.equal(cluster.applied.length, 2);
    });

    it("asks for routes again when a hint names a store outside the known peers", async () => {
      const { client, cluster, time } = await makeWorld();
      cluster.region(10).storeIds = [1, 2];
      await time.until(client.put("a", "1"));
      const { lookups } = cluster;
      cluster.region(10).storeIds = [1, 2, 3];
      cluster.region(10).confVer = 2;
      cluster.region(10).leader = 3;
      await time.until(client.put("a", "2"));
      assert.equal(cluster.lookups, lookups + 1);
    });
  });

  describe("broken stores", () => {
    it("repeats what was on a broken stream elsewhere, with the same seq, and it is applied once", async () => {
      const { client, cluster, net, time } = await makeWorld();
      await time.until(client.put("a", "0"));
      cluster.intercept = ({ storeId }) => (storeId === 1 ? "apply-and-drop" : "serve");
      const writes = Promise.all([client.put("a", "1"), client.getAndPut("b", "1")]);
      await time.settle();
      assert.equal(cluster.applied.length, 3);
      net.kill(cluster.address(1));
      cluster.region(10).leader = 2;
      await time.until(writes);
      assert.equal(cluster.applied.length, 3, "the retries were recognised");
      const seqs = cluster.seen.map(({ command }) => command?.seq);
      assert.deepEqual(new Set(seqs), new Set([1, 2, 3]));
      assert.ok(seqs.length >= 5);
    });

    it("takes a stream that ends with an error about one message for a broken one: what was on it may be applied", async () => {
      for (const code of ["INVALID_ARGUMENT", "BATCH_TOO_LARGE", "INTERNAL"] as const) {
        const { client, cluster, net, time } = await makeWorld();
        await time.until(client.put("a", "0"));
        cluster.intercept = () => "apply-and-drop";
        const write = client.getAndPut("a", "1");
        await time.settle();
        cluster.intercept = () => "serve";
        for (const stream of net.streamsTo(cluster.address(1))) stream.end(new RheaError(code, "malformed message"));
        assert.equal((await time.until(write))?.toString(), "0");
        assert.equal(cluster.applied.length, 2, code);
      }
    });

    it("leaves a store that hangs after one attempt's time", async () => {
      const { client, cluster, net, time } = await makeWorld();
      await time.until(client.put("a", "0"));
      net.hang(cluster.address(1));
      cluster.region(10).leader = 2;
      const startMs = time.nowMs;
      await time.until(Promise.all(Array.from({ length: 20 }, (_, i) => client.put(`k${i}`, "1"))));
      assert.ok(time.nowMs - startMs < 1_300, `${time.nowMs - startMs} ms`);
    });

    it("does not go back to a silent leader while others still believe in it", async () => {
      const { client, cluster, net, time } = await makeWorld();
      await time.until(client.put("a", "0"));
      net.hang(cluster.address(1));
      const startMs = time.nowMs;
      const write = client.put("a", "1");
      await time.advance(1_700);
      cluster.region(10).leader = 3;
      await time.until(write);
      assert.ok(time.nowMs - startMs < 2_000, `${time.nowMs - startMs} ms`);
    });

    it("keeps serving a store's other regions while one of them hangs", async () => {
      const { client, cluster, time } = await makeWorld(["m"]);
      cluster.region(11).leader = 1;
      await time.until(client.put("a", "0"));
      await time.advance(10);
      cluster.intercept = ({ regionId, storeId }) => (regionId === 10 && storeId === 1 ? "drop" : "serve");
      const stuck = client.put("a", "1");
      await time.advance(1_100);
      const startMs = time.nowMs;
      await time.until(client.put("z", "1"));
      assert.ok(time.nowMs - startMs < 50, `${time.nowMs - startMs} ms`);
      cluster.region(10).leader = 2;
      await time.until(stuck);
    });

    it("does not wait for a leader that hangs again while others still believe in it", async () => {
      const { client, cluster, time } = await makeWorld();
      await time.until(client.put("a", "0"));
      await time.advance(10);
      cluster.intercept = ({ storeId }) => (storeId === 1 ? "drop" : "serve");
      const startMs = time.nowMs;
      const write = client.put("a", "1");
      await time.advance(1_600);
      cluster.region(10).leader = 3;
      await time.until(write);
      assert.ok(time.nowMs - startMs < 2_000, `${time.nowMs - startMs} ms`);
    });

    it("lets operations wait in line at a store that answers slowly, without asking others", async () => {
      const { client, cluster, time } = await makeWorld([], { maxInflightPerStore: 1 });
      await time.until(client.put("a", "0"));
      cluster.answerAfterMs = 400;
      await time.until(Promise.all(Array.from({ length: 8 }, (_, i) => client.put(`k${i}`, "1"))));
      assert.deepEqual(new Set(cluster.seen.map(({ storeId }) => storeId)), new Set([1]));
      assert.equal(client.stats().retries, 0);
    });

    it("reconnects to a store that comes back as the only replica", async () => {
      const { client, cluster, net, time } = await makeWorld();
      cluster.region(10).storeIds = [1];
      await time.until(client.put("a", "0"));
      net.kill(cluster.address(1));
      const write = client.put("a", "1");
      await time.advance(2_000);
      await cluster.startStore(1);
      await time.until(write);
      assert.equal(cluster.applied.length, 2);
    });

    it("keeps on working with all PDs down", async () => {
      const { client, cluster, net, time } = await makeWorld(["m"]);
      await time.until(client.put("a", "0"));
      net.kill(cluster.pdAddress);
      cluster.split(11, "t", 20);
      cluster.region(20).leader = 3;
      await time.until(Promise.all([client.put("n", "1"), client.put("z", "1")]));
    });

    it("finds its way with nothing but a store's address", async () => {
      const { client, time } = await makeWorld(["m"], { pd: [], stores: ["nowhere:1", "store-2:7410"] });
      await time.until(client.put("a", "0"));
      assert.equal((await time.until(client.get("a")))?.toString(), "0");
    });
  });

  describe("splits", () => {
    it("learns the new regions from the error, without a lookup", async () => {
      const { client, cluster, time } = await makeWorld();
      await time.until(client.put("z", "0"));
      const { lookups } = cluster;
      cluster.split(10, "m", 20);
      await time.until(client.put("z", "1"));
      assert.equal(cluster.lookups, lookups);
      assert.equal(client.stats().retries, 1);
    });

    it("asks PD when the error names no regions", async () => {
      const { client, cluster, time } = await makeWorld();
      await time.until(client.put("z", "0"));
      const { lookups } = cluster;
      cluster.split(10, "m", 20);
      cluster.intercept = ({ operation }) => (operation.id <= 2 ? wireError("EPOCH_NOT_MATCH") : "serve");
      await time.until(client.put("z", "1"));
      assert.equal(cluster.lookups, lookups + 1);
    });

    it("does not take old regions from a store that lags behind", async () => {
      const { client, cluster, time } = await makeWorld();
      await time.until(client.put("z", "0"));
      const old = { regionId: 10, endKey: Buffer.alloc(0), epoch: { confVer: 0, version: 0 }, peers: [] };
      cluster.intercept = ({ storeId }) =>
        storeId === 1 ? wireError("EPOCH_NOT_MATCH", { currentRegions: [old] }) : "serve";
      cluster.region(10).leader = 2;
      await time.until(client.put("z", "1"));
      assert.equal(cluster.lookups, 1);
    });
  });

  describe("retries and deadlines", () => {
    it("keeps bytes and seq of a write over all its attempts", async () => {
      const { client, cluster, time } = await makeWorld();
      const codes = ["PROPOSAL_DROPPED", "STALE_COMMAND", "SERVER_BUSY", "LEADER_NOT_AVAILABLE"] as const;
      let failed = 0;
      cluster.intercept = () => {
        const code = codes[failed++];
        return code === undefined ? "serve" : wireError(code);
      };
      await time.until(client.put("a", "1"));
      const sent = new Set(cluster.seen.map(({ operation }) => Buffer.from(operation.command).toString("hex")));
      assert.equal(sent.size, 1);
      assert.ok(cluster.seen.length >= 5);
    });

    it("waits as long as a busy store asks for", async () => {
      const { client, cluster, time } = await makeWorld();
      cluster.intercept = ({ operation }) =>
        operation.id === 1 ? wireError("SERVER_BUSY", { retryAfterMs: 700 }) : "serve";
      await time.until(client.put("a", "1"));
      assert.ok(time.nowMs >= 700 && time.nowMs < 760, String(time.nowMs));
    });

    it("never repeats a caller's error", async () => {
      const { client, cluster, time } = await makeWorld();
      cluster.intercept = () => wireError("INVALID_ARGUMENT");
      assert.equal((await time.until(rejection(client.put("a", "1")))).code, "INVALID_ARGUMENT");
      assert.equal(cluster.seen.length, 1);
    });

    it("says on timeout what was tried and that the write may have been applied", async () => {
      const { client, cluster, time } = await makeWorld();
      cluster.intercept = ({ storeId }) => (storeId === 1 ? "drop" : "serve");
      const error = await time.until(rejection(client.put("user/1", "x", { timeoutMs: 3_000 })));
      assert.equal(error.code, "DEADLINE_EXCEEDED");
      assert.equal(error.details.maybeApplied, true);
      assert.match(error.message, /put "user\/1".*3\d\d\d ms.*store 1.*store 2 NOT_LEADER.*may have been applied/);
      assert.ok(time.nowMs < 3_050, String(time.nowMs));
      assert.equal(client.stats().outstanding, 0);
    });

    it("says on timeout that a write was not applied where that is certain", async () => {
      const { client, cluster, time } = await makeWorld();
      cluster.region(10).leader = 0;
      const error = await time.until(rejection(client.put("a", "x", { timeoutMs: 500 })));
      assert.equal(error.details.maybeApplied, false);
      assert.match(error.message, /was not applied/);
    });

    it("counts time from the call on, also while no route can be found", async () => {
      const { client, cluster, net, time } = await makeWorld();
      net.kill(cluster.pdAddress);
      const error = await time.until(rejection(client.get("a", { timeoutMs: 800 })));
      assert.equal(error.code, "DEADLINE_EXCEEDED");
      assert.match(error.message, /route lookup/);
      assert.ok(time.nowMs <= 850, String(time.nowMs));
    });

    it("gives up at once when the signal fires, and does not start when it has", async () => {
      const { client, cluster, time } = await makeWorld();
      cluster.intercept = () => "drop";
      const controller = new AbortController();
      const write = rejection(client.put("a", "1", { signal: controller.signal }));
      await time.settle();
      controller.abort();
      const error = await time.until(write);
      assert.equal(error.code, "CANCELLED");
      assert.equal(error.details.maybeApplied, true);
      const late = await rejection(client.put("a", "2", { signal: controller.signal }));
      assert.equal(late.code, "CANCELLED");
      assert.equal(cluster.seen.length, 1);
    });

    it("refuses more than its limit of outstanding operations", async () => {
      const { client, time } = await makeWorld([], { maxOutstanding: 2 });
      const calls = [client.put("a", "1"), client.put("b", "1")];
      assert.equal((await rejection(client.put("c", "1"))).code, "SERVER_BUSY");
      await time.until(Promise.all(calls));
    });

    it("rejects what is outstanding when it is closed, and leaves no timer behind", async () => {
      const { client, cluster, time } = await makeWorld();
      cluster.intercept = () => "drop";
      const write = rejection(client.put("a", "1"));
      await time.settle();
      await client.close();
      assert.equal((await write).code, "SHUTTING_DOWN");
      assert.equal((await rejection(client.get("a"))).code, "SHUTTING_DOWN");
      await time.settle();
      assert.equal(time.timers, 0);
    });
  });

  it("routes stale reads to all replicas in turn", async () => {
    const { client, cluster, time } = await makeWorld();
    cluster.region(10).leader = 0;
    await time.until(client.ready());
    for (let i = 0; i < 3; i++) await time.until(client.get("a", { readOnlySafe: false }));
    assert.deepEqual(new Set(cluster.seen.map(({ storeId }) => storeId)), new Set([1, 2, 3]));
  });
});
