/** The suite that every key-value engine must pass. Called by a mocha test of the engine; not a test by itself. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { KvEngine, KvEntry, KvIterator, KvRange } from "./engine.js";

/** How the suite gets an engine: `open` opens the same place again after a close. */
export interface EngineSuiteSubject {
  open(): Promise<KvEngine>;
  /** Removes the place. Called after each test, with every engine closed. */
  destroy(): Promise<void>;
}

/** Declares the tests. `create` makes a subject with an empty place of its own. */
export function describeKvEngine(name: string, create: () => Promise<EngineSuiteSubject>): void {
  describe(`key-value engine: ${name}`, () => {
    let subject: EngineSuiteSubject;
    let engine: KvEngine;

    beforeEach(async () => {
      subject = await create();
      engine = await subject.open();
    });
    afterEach(async () => {
      await engine.close();
      await subject.destroy();
    });
    const put = async (entries: Record<string, string>): Promise<void> => {
      const batch = engine.batch();
      for (const [key, value] of Object.entries(entries)) batch.put(key, Buffer.from(value, "latin1"));
      await engine.write(batch);
    };

    it("reads back what a batch wrote and nothing else", async () => {
      await put({ a: "1", b: "" });
      assert.equal(engine.get("a")?.toString(), "1");
      assert.equal(engine.get("b")?.length, 0);
      assert.equal(engine.get("c"), undefined);
    });

    it("applies the operations of a batch in order", async () => {
      const batch = engine.batch();
      batch.put("k", Buffer.from("1"));
      batch.delete("k");
      batch.put("k", Buffer.from("2"));
      batch.put("gone", Buffer.from("x"));
      batch.delete("gone");
      assert.equal(batch.length, 5);
      await engine.write(batch);
      assert.equal(engine.get("k")?.toString(), "2");
      assert.equal(engine.get("gone"), undefined);
    });

    it("orders keys as unsigned bytes, binary ones included", async () => {
      const keys = ["\x00", "\x00\x00", "a", "a\x00", "aa", "\x7f", "\x80", "\xff", "\xff\xff"];
      await put(Object.fromEntries(keys.map((key) => [key, key])));
      assert.deepEqual(await keysOf(engine.iterate({ start: "", end: "" })), keys);
      assert.deepEqual(await keysOf(engine.iterate({ start: "", end: "", reverse: true })), keys.toReversed());
    });

    it("bounds a walk at start (inclusive) and end (exclusive), both ways", async () => {
      await put({ a: "", b: "", c: "", d: "" });
      assert.deepEqual(await keysOf(engine.iterate({ start: "b", end: "d" })), ["b", "c"]);
      assert.deepEqual(await keysOf(engine.iterate({ start: "b", end: "d", reverse: true })), ["c", "b"]);
      assert.deepEqual(await keysOf(engine.iterate({ start: "bb", end: "bc" })), []);
    });

    it("walks the state of the moment the walk was begun", async () => {
      await put({ a: "1", b: "1" });
      const iterator = engine.iterate({ start: "", end: "" });
      const batch = engine.batch();
      batch.put("a", Buffer.from("2"));
      batch.delete("b");
      batch.put("c", Buffer.from("2"));
      await engine.write(batch);
      assert.deepEqual(await rowsOf(iterator), ["a=1", "b=1"]);
    });

    it("keeps a snapshot's state while the engine moves on", async () => {
      await put({ a: "1" });
      const snapshot = engine.snapshot();
      await put({ a: "2", b: "2" });
      assert.equal(snapshot.get("a")?.toString(), "1");
      assert.equal(snapshot.get("b"), undefined);
      assert.deepEqual(await rowsOf(snapshot.iterate({ start: "", end: "" })), ["a=1"]);
      await snapshot.close();
      assert.equal(engine.get("a")?.toString(), "2");
    });

    it("clears exactly the range, larger than one slice", async () => {
      const entries: Record<string, string> = { a: "stays", z: "stays" };
      for (let i = 0; i < 5_000; i++) entries[`m${String(i).padStart(5, "0")}`] = "x".repeat(20);
      await put(entries);
      await engine.clearRange("m", "n");
      assert.deepEqual(await keysOf(engine.iterate({ start: "", end: "" })), ["a", "z"]);
    });

    it("has everything again after a close and open", async () => {
      await put({ a: "1", b: "2" });
      await engine.clearRange("a", "b");
      await engine.close();
      engine = await subject.open();
      assert.deepEqual(await rowsOf(engine.iterate({ start: "", end: "" })), ["b=2"]);
    });

    it("keeps large values whole", async () => {
      const value = Buffer.alloc(6 << 20, 7);
      const batch = engine.batch();
      batch.put("large", value);
      await engine.write(batch);
      await engine.close();
      engine = await subject.open();
      assert.ok(engine.get("large")?.equals(value));
    });

    it("estimates a size that grows with the data", async () => {
      assert.equal(await engine.approximateSize("q", "r"), 0);
      assert.ok((await engine.approximateSize("", "")) >= 0);
    });

    it("equals a model under random batches and walks", async function () {
      this.timeout(20_000);
      const key = fc.string({ unit: fc.constantFrom("a", "b", "\x00", "\xff"), maxLength: 3 });
      const operation = fc.tuple(key, fc.option(fc.string({ maxLength: 4, unit: "binary-ascii" })));
      const model = new Map<string, string>();
      await fc.assert(
        fc.asyncProperty(
          fc.array(operation, { maxLength: 8 }),
          key,
          key,
          fc.boolean(),
          async (operations, x, y, reverse) => {
            const batch = engine.batch();
            for (const [k, v] of operations) {
              if (v === null) {
                batch.delete(k);
                model.delete(k);
              } else {
                batch.put(k, Buffer.from(v, "latin1"));
                model.set(k, v);
              }
            }
            await engine.write(batch);
            const [start, end] = x < y ? [x, y] : [y, x];
            assert.deepEqual(
              await rowsOf(engine.iterate({ start, end, reverse })),
              modelRows(model, { start, end, reverse }),
            );
          },
        ),
        { numRuns: 60, ...(process.env["SEED"] === undefined ? {} : { seed: Number(process.env["SEED"]) }) },
      );
    });
  });
}

function modelRows(model: ReadonlyMap<string, string>, range: KvRange): string[] {
  const rows = [...model]
    .filter(([key]) => key >= range.start && (range.end === "" || key < range.end))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`);
  return range.reverse === true ? rows.reverse() : rows;
}

async function allOf(iterator: KvIterator): Promise<KvEntry[]> {
  const rows: KvEntry[] = [];
  for (let slice = await iterator.next(3); slice.length > 0; slice = await iterator.next(3)) rows.push(...slice);
  await iterator.close();
  return rows;
}

async function keysOf(iterator: KvIterator): Promise<string[]> {
  return (await allOf(iterator)).map((row) => row.key);
}

async function rowsOf(iterator: KvIterator): Promise<string[]> {
  return (await allOf(iterator)).map((row) => `${row.key}=${row.value.toString("latin1")}`);
}
