import assert from "node:assert/strict";
import { CachedTail, EntryCache } from "./entry-cache.js";
import { entry } from "./test-log.js";

const run = (first: number, last: number, term = 1) =>
  Array.from({ length: last - first + 1 }, (_, i) => entry(first + i, term, 100));

describe("EntryCache", () => {
  it("drops the oldest appends of all groups once they exceed its bytes", () => {
    const cache = new EntryCache(10 * 200 + 300);
    const [a, b] = [new CachedTail(), new CachedTail()];
    cache.put(a, run(1, 5));
    cache.put(b, run(1, 5));
    assert.ok(a.get(1) && b.get(5));
    cache.put(b, run(6, 6));
    assert.equal(a.get(1), undefined);
    assert.equal(a.get(5), undefined);
    assert.equal(b.get(1)?.index, 1);
  });

  it("never answers with an entry that a new leader replaced", () => {
    const cache = new EntryCache(1e6);
    const tail = new CachedTail();
    cache.put(tail, run(1, 10, 1));
    tail.dropFrom(4);
    cache.put(tail, run(4, 6, 2));
    assert.deepEqual(
      [1, 3, 4, 6].map((index) => tail.get(index)?.term),
      [1, 1, 2, 2],
    );
    assert.equal(tail.get(7), undefined);
    tail.dropThrough(4);
    assert.deepEqual(
      [3, 4, 5].map((index) => tail.get(index)?.term),
      [undefined, undefined, 2],
    );
    cache.put(tail, run(20, 21, 3));
    assert.deepEqual(
      [5, 19, 20].map((index) => tail.get(index)?.term),
      [undefined, undefined, 3],
    );
  });

  it("keeps what is bounded by appends, however fast groups are truncated", () => {
    const cache = new EntryCache(50_000);
    const idle = new CachedTail();
    cache.put(idle, run(1, 1));
    const busy = new CachedTail();
    for (let index = 1; index <= 5000; index++) {
      cache.put(busy, run(index, index));
      busy.dropThrough(index);
    }
    assert.equal(idle.get(1), undefined);
  });
});
