import assert from "node:assert/strict";
import fc from "fast-check";
import { RheaError } from "@rhea/common";
import { wireError } from "../test-support/fake-cluster.js";
import { makeWorld } from "../test-support/world.js";
import { groupBatch, type BatchOperation } from "./batch.js";
import { PartialWriteError } from "./multi-key.js";

const text = (value: Buffer | undefined): string | undefined => value?.toString();

describe("calls on one key", () => {
  it("mean what they say", async () => {
    const { client, time } = await makeWorld(["m"]);
    const run = <T>(call: Promise<T>): Promise<T> => time.until(call);
    await run(client.put("user/1", "Ada"));
    assert.equal(text(await run(client.get("user/1"))), "Ada");
    assert.equal(await run(client.get("nobody")), undefined);
    assert.equal(await run(client.containsKey("user/1")), true);
    assert.equal(await run(client.putIfAbsent("a", "1")), undefined);
    assert.equal(text(await run(client.putIfAbsent("a", "2"))), "1");
    assert.equal(text(await run(client.getAndPut("a", "3"))), "1");
    assert.equal(await run(client.compareAndPut("a", "1", "x")), false);
    assert.equal(await run(client.compareAndPut("a", "3", "4")), true);
    assert.equal(await run(client.compareAndPut("new", undefined, "1")), true);
    assert.equal(await run(client.compareAndPut("a", "4", undefined)), true);
    assert.equal(await run(client.get("a")), undefined);
    await run(client.put("empty", ""));
    assert.equal((await run(client.get("empty")))?.length, 0);
    await run(client.delete("user/1"));
    assert.equal(await run(client.containsKey("user/1")), false);
    assert.deepEqual(await run(client.getSequence("seq", 10)), { start: 0, end: 10 });
    assert.deepEqual(await run(client.getSequence("seq")), { start: 10, end: 11 });
    assert.equal(await run(client.getLatestSequence("seq")), 11);
    await run(client.resetSequence("seq"));
    assert.equal(await run(client.getLatestSequence("seq")), 0);
  });

  it("refuse bad keys and values before anything is sent", async () => {
    const { client, cluster } = await makeWorld();
    await assert.rejects(client.put("", "x"), { code: "KEY_TOO_LARGE" });
    await assert.rejects(client.put("k".repeat(4097), "x"), { code: "KEY_TOO_LARGE" });
    await assert.rejects(client.put("k", Buffer.alloc(6 * 1024 * 1024 + 1)), { code: "VALUE_TOO_LARGE" });
    await assert.rejects(client.put("k", undefined as unknown as string), { code: "INVALID_ARGUMENT" });
    await assert.rejects(client.get(17 as unknown as string), { code: "INVALID_ARGUMENT" });
    await assert.rejects(client.getSequence("k", 0), { code: "INVALID_ARGUMENT" });
    await assert.rejects(client.get("k", { timeoutMs: 0 }), { code: "INVALID_ARGUMENT" });
    assert.equal(cluster.lookups, 0);
  });

  it("keep keys with non-ASCII text apart by their UTF-8 bytes", async () => {
    const { client, cluster, time } = await makeWorld([Buffer.from("é").toString("latin1")]);
    await time.until(client.put("é", "1"));
    await time.until(client.put("z", "2"));
    assert.deepEqual(
      cluster.seen.map(({ regionId }) => regionId),
      [11, 10],
    );
  });
});

describe("calls on several keys", () => {
  const keys = Array.from({ length: 30 }, (_, i) => `${String.fromCharCode(97 + (i % 26))}${i}`);

  it("divide by region and answer in the order asked for", async () => {
    const { client, cluster, time } = await makeWorld(["g", "p"]);
    await time.until(client.putAll(keys.map((key) => ({ key, value: `=${key}` }))));
    assert.equal(cluster.applied.length, 3);
    const asked = [...keys, "missing"].reverse();
    const values = await time.until(client.multiGet(asked));
    assert.deepEqual(
      values.map(text),
      asked.map((key) => (key === "missing" ? undefined : `=${key}`)),
    );
    await time.until(client.deleteAll(keys.slice(0, 29)));
    assert.equal(cluster.data.values.size, 1);
    await time.until(client.putAll([]));
    assert.deepEqual(await time.until(client.multiGet([])), []);
  });

  it("divide only the part whose region split meanwhile, with fresh seqs when it was certainly not applied", async () => {
    const { client, cluster, time } = await makeWorld(["m"]);
    await time.until(client.ready());
    cluster.split(10, "g", 20).leader = 3;
    await time.until(client.putAll(keys.map((key) => ({ key, value: key }))));
    assert.equal(cluster.data.values.size, keys.length);
    const seqs = cluster.applied.map(({ seq }) => seq);
    assert.equal(new Set(seqs).size, 3, "three parts with a seq each");
    const untouched = cluster.seen.filter(({ regionId }) => regionId === 11);
    assert.equal(untouched.length, 1);
  });

  it("keep the seq of a divided part that may have been applied, so that it is not applied twice", async () => {
    const { client, cluster, net, time } = await makeWorld();
    await time.until(client.ready());
    cluster.intercept = ({ storeId }) => (storeId === 1 ? "apply-and-drop" : "serve");
    const write = client.putAll(keys.map((key) => ({ key, value: "old" })));
    await time.settle();
    assert.equal(cluster.applied.length, 1);
    const child = cluster.split(10, "m", 20);
    net.kill(cluster.address(1));
    cluster.region(10).leader = 2;
    child.leader = 2;
    cluster.data.values.set("a0", Buffer.from("of another client"));
    await time.until(write);
    assert.equal(cluster.applied.length, 1, "both parts were recognised");
    assert.equal(cluster.data.values.get("a0")?.toString(), "of another client");
    await time.until(client.put("z", "next"));
    assert.equal(cluster.applied.at(-1)?.lowestOutstanding, cluster.applied.at(-1)?.seq, "the shared seq has ended");
  });

  it("say which regions failed and apply the others", async () => {
    const { client, cluster, time } = await makeWorld(["m"]);
    await time.until(client.ready());
    cluster.intercept = ({ regionId }) => (regionId === 11 ? wireError("DISK_FULL") : "serve");
    const error = await time.until(
      client.putAll(keys.map((key) => ({ key, value: key }))).then(
        () => undefined,
        (thrown: unknown) => thrown,
      ),
    );
    assert.ok(error instanceof PartialWriteError);
    assert.equal(error.code, "DISK_FULL");
    assert.deepEqual(
      error.failures.map(({ regionId, count }) => [regionId, count]),
      [[11, keys.filter((key) => key >= "m").length]],
    );
    assert.equal(cluster.data.values.size, keys.filter((key) => key < "m").length);
  });

  it("ask for half as much when the values exceed a message", async () => {
    const { client, cluster, time } = await makeWorld();
    await time.until(client.putAll(keys.map((key) => ({ key, value: key }))));
    cluster.intercept = ({ operation }) =>
      (operation.read?.keys.length ?? 0) > 8 ? wireError("BATCH_TOO_LARGE") : "serve";
    const values = await time.until(client.multiGet(keys));
    assert.deepEqual(values.map(text), keys);
  });

  it("delete a range over regions", async () => {
    const { client, cluster, time } = await makeWorld(["g", "p"]);
    await time.until(client.putAll(keys.map((key) => ({ key, value: key }))));
    cluster.split(11, "k", 30).leader = 3;
    await time.until(client.deleteRange("c", "t"));
    assert.deepEqual([...cluster.data.values.keys()].sort(), keys.filter((key) => key < "c" || key >= "t").sort());
    await time.until(client.deleteRange(undefined, undefined));
    assert.equal(cluster.data.values.size, 0);
    await assert.rejects(client.deleteRange("b", "a"), { code: "INVALID_ARGUMENT" });
  });

  it("compare and put all within one region, and refuse several", async () => {
    const { client, cluster, time } = await makeWorld(["m"]);
    assert.equal(
      await time.until(
        client.compareAndPutAll([
          { key: "a", update: "1" },
          { key: "b", update: "1" },
        ]),
      ),
      true,
    );
    assert.equal(
      await time.until(
        client.compareAndPutAll([
          { key: "a", expect: "1", update: "2" },
          { key: "b", expect: "0", update: "2" },
        ]),
      ),
      false,
    );
    const across = [
      { key: "a", expect: "1", update: "3" },
      { key: "x", update: "3" },
    ];
    await assert.rejects(time.until(client.compareAndPutAll(across)), { code: "INVALID_ARGUMENT" });
    assert.equal(cluster.data.values.get("a")?.toString(), "1");
    assert.equal(await time.until(client.compareAndPutAll(across, { perRegion: true })), true);
    assert.equal(client.stats().outstanding, 0);
  });
});

describe("scans", () => {
  it("give the same as a sorted map, over regions, pages and limits, both ways", async () => {
    const letter = fc.constantFrom(...Array.from("abcdefghij"));
    const key = fc.string({ unit: letter, minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(key, { maxLength: 200 }),
        fc.uniqueArray(key, { maxLength: 4 }),
        fc.option(key, { nil: undefined }),
        fc.option(key, { nil: undefined }),
        fc.option(fc.integer({ min: 1, max: 250 }), { nil: undefined }),
        fc.boolean(),
        async (keys, borders, start, end, limit, isReverse) => {
          fc.pre(start === undefined || end === undefined || start < end);
          const { client, cluster, time } = await makeWorld([...borders].sort());
          for (const each of keys) cluster.data.values.set(each, Buffer.from(each));
          const expected = [...keys]
            .sort()
            .filter((k) => (start === undefined || k >= start) && (end === undefined || k < end));
          if (isReverse) expected.reverse();
          const range = { start, end, limit };
          const found = await time.until(isReverse ? client.reverseScan(range) : client.scan(range));
          assert.deepEqual(
            found.map((entry) => entry.key.toString()),
            expected.slice(0, limit),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  it("read no more regions than a limit needs", async () => {
    const { client, cluster, time } = await makeWorld(["g", "p"]);
    for (const key of ["a", "b", "h", "q"]) cluster.data.values.set(key, Buffer.from(key));
    await time.until(client.scan({ limit: 2 }));
    assert.deepEqual(
      cluster.seen.map(({ regionId }) => regionId),
      [10],
    );
  });

  it("return keys alone when asked to", async () => {
    const { client, time } = await makeWorld();
    await time.until(client.put("a", "value"));
    const [entry] = await time.until(client.scan({ returnValue: false }));
    assert.deepEqual([entry?.key.toString(), entry?.value.length], ["a", 0]);
  });

  it("iterate lazily, with the next page on its way", async () => {
    const { client, cluster, time } = await makeWorld(["m"]);
    for (let i = 0; i < 26; i++) cluster.data.values.set(String.fromCharCode(97 + i), Buffer.from("v"));
    const iterator = client.iterator({ bufSize: 5 });
    const first = await time.until(iterator.next());
    await time.settle();
    assert.equal((first.value as { key: Buffer }).key.toString(), "a");
    assert.equal(cluster.seen.length, 2);
    await time.until(iterator.return());
    const keys: string[] = [];
    await time.until(
      (async () => {
        for await (const { key } of client.iterator({ bufSize: 5, reverse: true, limit: 20 }))
          keys.push(key.toString());
      })(),
    );
    assert.equal(keys.join(""), "zyxwvutsrqponmlkjihg");
  });

  it("go on after keys of the greatest length", async () => {
    const { client, cluster, time } = await makeWorld();
    const longest = (last: string): string => "a".repeat(4095) + last;
    const keys = [longest("a"), longest("b"), longest("\xff"), "b", "\xff".repeat(4096)];
    for (const key of keys) cluster.data.values.set(key, Buffer.from("v"));
    const seen: string[] = [];
    await time.until(
      (async () => {
        for await (const { key } of client.iterator({ bufSize: 1 })) seen.push(key.toString("latin1"));
      })(),
    );
    assert.deepEqual(seen, keys);
  });

  it("go on where a region that split meanwhile continues", async () => {
    const { client, cluster, time } = await makeWorld();
    for (let i = 0; i < 26; i++) cluster.data.values.set(String.fromCharCode(97 + i), Buffer.from("v"));
    await time.until(client.ready());
    cluster.split(10, "m", 20).leader = 2;
    const entries = await time.until(client.scan({ start: "c", end: "x" }));
    assert.equal(entries.map(({ key }) => key.toString()).join(""), "cdefghijklmnopqrstuvw");
  });
});

describe("batch", () => {
  it("separates reads from writes and keeps the order on one key", () => {
    const operations: BatchOperation[] = [
      { type: "put", key: "a", value: "1" },
      { type: "put", key: "b", value: "1" },
      { type: "put", key: "a", value: "2" },
      { type: "get", key: "a" },
      { type: "get", key: "a" },
      { type: "delete", key: "a" },
    ];
    assert.deepEqual(
      groupBatch(operations).map((group) => group.length),
      [2, 1, 2, 1],
    );
  });

  it("answers in call order and settles each on its own", async () => {
    const { client, cluster, time } = await makeWorld(["m"]);
    cluster.intercept = ({ regionId }) => (regionId === 11 ? wireError("DISK_FULL") : "serve");
    const results = await time.until(
      client.batch([
        { type: "put", key: "a", value: "1" },
        { type: "put", key: "x", value: "1" },
        { type: "get", key: "a" },
      ]),
    );
    assert.equal(results[0]?.status, "fulfilled");
    assert.ok(results[1]?.status === "rejected" && RheaError.from(results[1].reason).code === "DISK_FULL");
    assert.ok(results[2]?.status === "fulfilled" && text(results[2].value as Buffer) === "1");
  });
});
