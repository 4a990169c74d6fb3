import assert from "node:assert/strict";
import fc from "fast-check";
import type { RheaError } from "@rhea/common";
import { createFakeKv, type FakeKv } from "../testing/fake-kv.js";
import { Overlay } from "./overlay.js";
import { TurnMarkers, openTurnMarkers } from "./turn-markers.js";

const ALL = { start: "d", end: "e" };

function open(kv: FakeKv, maxBytes = 1 << 20): { overlay: Overlay; failures: RheaError[] } {
  const failures: RheaError[] = [];
  const overlay = new Overlay({
    kv,
    markers: new TurnMarkers([]),
    maxBytes,
    onFailed: (error) => failures.push(error),
  });
  return { overlay, failures };
}

async function rows(overlay: Overlay, range: { start: string; end: string; reverse?: boolean }): Promise<string[]> {
  const iterator = overlay.iterate(range);
  const found: string[] = [];
  for (let slice = await iterator.next(2); slice.length > 0; slice = await iterator.next(2)) {
    found.push(...slice.map(({ key, value }) => `${key}=${value.toString()}`));
  }
  await iterator.close();
  return found;
}

describe("overlay", () => {
  it("shows writes and deletes before the engine has them", async () => {
    const kv = createFakeKv({ d1: "old", d2: "old" });
    const { overlay } = open(kv);
    kv.hold();
    overlay.put("d1", Buffer.from("new"));
    overlay.put("d2", undefined);
    overlay.endTurn();
    assert.equal(overlay.get("d1")?.toString(), "new");
    assert.equal(overlay.get("d2"), undefined);
    assert.deepEqual(await rows(overlay, ALL), ["d1=new"]);
    assert.equal(kv.get("d1")?.toString(), "old");
    kv.release();
    await overlay.flush();
    assert.equal(kv.get("d1")?.toString(), "new");
  });

  it("gathers all turns that came during a batch into the next one", async () => {
    const kv = createFakeKv({});
    const { overlay } = open(kv);
    kv.hold();
    for (let i = 0; i < 20; i++) {
      overlay.put(`d${i}`, Buffer.from("x"));
      overlay.endTurn();
    }
    kv.release();
    await overlay.flush();
    assert.equal(overlay.batches, 2);
    assert.equal(overlay.bytes, 0);
  });

  it("takes a participant's records with the batch that has its writes and reports it durable only then", async () => {
    const kv = createFakeKv({});
    const { overlay } = open(kv);
    let applied = 1;
    let durable = 0;
    const participant = {
      regionId: 7,
      collect: (put: (key: string, value: Buffer | undefined) => void) => {
        const index = applied;
        put("Lx", Buffer.from(String(index)));
        return () => {
          durable = index;
        };
      },
    };
    kv.hold();
    overlay.put("d1", Buffer.from("x"));
    overlay.markDirty(participant);
    overlay.endTurn();
    applied = 2;
    overlay.markDirty(participant);
    overlay.endTurn();
    assert.equal(durable, 0);
    kv.release();
    await overlay.flush();
    assert.equal(durable, 2);
    assert.equal(kv.get("Lx")?.toString(), "2");
  });

  it("keeps a walk at the moment it was begun while turns and batches go on", async () => {
    const kv = createFakeKv({ d1: "a", d3: "a" });
    const { overlay } = open(kv);
    overlay.put("d2", Buffer.from("a"));
    const iterator = overlay.iterate(ALL);
    overlay.put("d1", Buffer.from("b"));
    overlay.put("d2", undefined);
    overlay.endTurn();
    await overlay.flush();
    const seen = await iterator.next(10);
    assert.deepEqual(
      seen.map(({ key, value }) => `${key}=${value.toString()}`),
      ["d1=a", "d2=a", "d3=a"],
    );
  });

  it("is full over its bound, makes apply wait over twice of it, and lets go when the batch is done", async () => {
    const kv = createFakeKv({});
    const { overlay } = open(kv, 1_000);
    kv.hold();
    overlay.put("d1", Buffer.alloc(1_001));
    overlay.endTurn();
    assert.equal(overlay.isFull, true);
    assert.equal(overlay.room(), undefined);
    overlay.put("d2", Buffer.alloc(1_001));
    overlay.endTurn();
    const room = overlay.room();
    assert.notEqual(room, undefined);
    kv.release();
    await room;
    assert.equal(overlay.isFull, false);
  });

  it("fails for good at the first failed batch and says so once", async () => {
    const kv = createFakeKv({});
    const { overlay, failures } = open(kv);
    kv.failNext();
    overlay.put("d1", Buffer.from("x"));
    await assert.rejects(overlay.flush(), { code: "DISK_FAILED" });
    await assert.rejects(overlay.flush(), { code: "DISK_FAILED" });
    assert.equal(failures.length, 1);
  });

  it("equals a plain map under random turns, held batches and walks", async function () {
    this.timeout(20_000);
    const key = fc.nat(12).map((n) => `d${String.fromCharCode(97 + n)}`);
    const action = fc.oneof(
      fc.record({ do: fc.constant("put" as const), key, value: fc.nat(99) }),
      fc.record({ do: fc.constant("delete" as const), key }),
      fc.record({ do: fc.constantFrom("turn" as const, "hold" as const, "release" as const, "flush" as const) }),
      fc.record({ do: fc.constant("walk" as const), key, to: key, reverse: fc.boolean() }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
        const kv = createFakeKv({ da: "0", dc: "0" });
        const { overlay } = open(kv);
        const model = new Map([
          ["da", "0"],
          ["dc", "0"],
        ]);
        for (const step of actions) {
          switch (step.do) {
            case "put":
              overlay.put(step.key, Buffer.from(String(step.value)));
              model.set(step.key, String(step.value));
              break;
            case "delete":
              overlay.put(step.key, undefined);
              model.delete(step.key);
              break;
            case "turn":
              overlay.endTurn();
              break;
            case "hold":
              kv.hold();
              break;
            case "release":
              kv.release();
              break;
            case "flush":
              kv.release();
              await overlay.flush();
              break;
            case "walk": {
              const [start, end] = step.key < step.to ? [step.key, step.to] : [step.to, step.key];
              const expected = [...model]
                .filter(([k]) => k >= start && k < end)
                .sort(([a], [b]) => (a < b ? -1 : 1))
                .map(([k, v]) => `${k}=${v}`);
              assert.deepEqual(
                await rows(overlay, { start, end, reverse: step.reverse }),
                step.reverse ? expected.reverse() : expected,
              );
              break;
            }
          }
          for (const k of ["da", "db", "dc"]) assert.equal(overlay.get(k)?.toString(), model.get(k));
        }
        kv.release();
        await overlay.flush();
        for (const [k, v] of model) assert.equal(kv.get(k)?.toString(), v);
      }),
      { numRuns: 200, ...(process.env["SEED"] === undefined ? {} : { seed: Number(process.env["SEED"]) }) },
    );
  });
});

describe("turn markers", () => {
  const participant = (regionId: number) => ({ regionId, collect: () => () => undefined });
  async function write(kv: FakeKv, regions: number[][]): Promise<void> {
    const { markers } = await openTurnMarkers(kv);
    const overlay = new Overlay({ kv, markers, maxBytes: 1_000, onFailed: (error) => assert.ifError(error) });
    for (const turn of regions) {
      for (const region of turn) overlay.markDirty(participant(region));
      await overlay.flush();
    }
  }

  it("are whole after ordinary batches, also over a reopen", async () => {
    const kv = createFakeKv({});
    await write(kv, [[1], [2]]);
    await write(kv, [[3]]);
    assert.deepEqual((await openTurnMarkers(kv)).check, { kind: "whole" });
  });

  it("name the regions of a batch that the engine lost", async () => {
    const kv = createFakeKv({});
    await write(kv, [[1], [2, 3], [4], [5]]);
    kv.lose("Lm\0\0\0\0\0\0\0\x02");
    const { check } = await openTurnMarkers(kv);
    assert.deepEqual(check, { kind: "lost", regions: new Set([2, 3]), sequence: 2 });
  });

  it("trust no region when two batches in a row are lost", async () => {
    const kv = createFakeKv({});
    await write(kv, [[1], [2], [3], [4]]);
    kv.lose("Lm\0\0\0\0\0\0\0\x02");
    kv.lose("Lm\0\0\0\0\0\0\0\x03");
    assert.equal((await openTurnMarkers(kv)).check.kind, "lostAny");
  });
});
