import assert from "node:assert/strict";
import type { RheaClient } from "@rhea/client";
import { RheaError } from "@rhea/common";
import { checksum, startLoad } from "./load.js";

type Put = (key: string, value: string, store: Map<string, Buffer>, count: number) => void;

/** A client on a map whose writes go through `put`. */
function clientWith(put: Put): RheaClient {
  const store = new Map<string, Buffer>();
  let count = 0;
  return {
    put: async (key: string, value: string) => put(key, value, store, ++count),
    get: async (key: string) => store.get(key),
    async *iterator() {
      for (const [key, value] of [...store].sort()) yield { key: Buffer.from(key), value };
    },
  } as unknown as RheaClient;
}

const OPTIONS = { writers: 2, keysPerWriter: 2, pauseMs: 1 };
const apply: Put = (key, value, store) => void store.set(key, Buffer.from(value));
const unknown = () => new RheaError("DEADLINE_EXCEEDED", "no answer", { details: { maybeApplied: true } });

/** Runs a load until it has tried so many operations. */
async function loadFor(client: RheaClient, operations: number) {
  const load = await startLoad(client, OPTIONS);
  while (load.ok() + load.failed() < operations) await new Promise((resolve) => setTimeout(resolve, 1));
  return load.stop();
}

describe("load of the end-to-end tests", () => {
  it("counts what succeeds", async () => {
    const { ok, failed, uncertain, errors } = await loadFor(clientWith(apply), 40);
    assert.ok(ok >= 40);
    assert.deepEqual({ failed, uncertain, errors }, { failed: 0, uncertain: 0, errors: {} });
  });

  it("finds an acknowledged write that is lost", async () => {
    const loses: Put = (key, value, store, count) => {
      if (key !== "load/1/0" || count < 9) apply(key, value, store, count);
    };
    await assert.rejects(loadFor(clientWith(loses), 60), /reads were wrong:\n.*load\/\d\/\d reads \d+, should be \d+/);
  });

  it("finds a write that comes back after a later one was acknowledged", async () => {
    let late: (() => void) | undefined;
    const repeats: Put = (key, value, store, count) => {
      apply(key, value, store, count);
      if (count === 5) late = () => apply(key, value, store, count);
      if (count === 30) late?.();
    };
    await assert.rejects(loadFor(clientWith(repeats), 120), /reads were wrong/);
  });

  it("takes either outcome of a write without an answer, and counts it", async () => {
    const answersLate: Put = (key, value, store, count) => {
      if (count % 4 === 0) apply(key, value, store, count);
      if (count % 2 === 0 && count > 4) throw unknown();
      apply(key, value, store, count);
    };
    const { failed, uncertain, errors } = await loadFor(clientWith(answersLate), 80);
    assert.ok(failed > 0);
    assert.equal(uncertain, failed);
    assert.equal(errors["DEADLINE_EXCEEDED"]?.count, failed);
  });

  it("finds a write without an answer that takes effect twice", async () => {
    const values: [string, string][] = [];
    const twice: Put = (key, value, store, count) => {
      if (key === "load/0/0" && values.length === 0 && count > 4) {
        values.push([key, value]);
        apply(key, value, store, count);
        throw unknown();
      }
      apply(key, value, store, count);
      const [first] = values;
      if (count > 60 && first !== undefined) apply(...first, store, count);
    };
    await assert.rejects(loadFor(clientWith(twice), 240), /reads were wrong/);
  });

  it("gives equal data one checksum, and other data another", async () => {
    const sums: string[] = [];
    for (const value of ["a", "a", "b"]) {
      const client = clientWith(apply);
      await client.put("key", value);
      const { entries, bytes, sha256 } = await checksum(client);
      assert.deepEqual({ entries, bytes }, { entries: 1, bytes: 4 });
      sums.push(sha256);
    }
    assert.equal(sums[0], sums[1]);
    assert.notEqual(sums[0], sums[2]);
  });
});
