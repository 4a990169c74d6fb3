import assert from "node:assert/strict";
import fc from "fast-check";
import { RangeCache } from "./range-cache.js";
import { covers, type Route } from "./route.js";

function route(regionId: number, start: string, end: string, version = 1, confVer = 1): Route {
  return { regionId, start, end, version, confVer, replicas: [{ storeId: 1, isLearner: false }] };
}

/** A keyspace that is split and merged at random; yields every region that ever was, as a store or PD could name it, early or late. */
function history(seeds: readonly number[]): { all: Route[]; current: Route[] } {
  let nextId = 2;
  let current: Route[] = [route(1, "", "")];
  const all = [...current];
  for (const seed of seeds) {
    const index = seed % current.length;
    const region = current[index]!;
    const next = current[index + 1];
    if (seed % 3 === 0 && next !== undefined) {
      const version = Math.max(region.version, next.version) + 1;
      const merged = route(region.regionId, region.start, next.end, version, region.confVer);
      current = [...current.slice(0, index), merged, ...current.slice(index + 2)];
      all.push(merged);
    } else if (seed % 3 === 1) {
      const changed = route(region.regionId, region.start, region.end, region.version, region.confVer + 1);
      current = current.with(index, changed);
      all.push(changed);
    } else {
      const key = String.fromCharCode(97 + (seed % 26));
      if (!covers(region, key) || key === region.start) continue;
      const parent = route(region.regionId, region.start, key, region.version + 1, region.confVer);
      const child = route(nextId++, key, region.end, region.version + 1, region.confVer);
      current = [...current.slice(0, index), parent, child, ...current.slice(index + 1)];
      all.push(parent, child);
    }
  }
  return { all, current };
}

const KEYS = ["", ...Array.from("abcdefghijklmnopqrstuvwxyz")];

describe("range cache", () => {
  it("finds only regions that hold the key, whatever it was told in whatever order", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(10_000), { maxLength: 30 }),
        fc.array(fc.nat(10_000), { maxLength: 60 }),
        (seeds, picks) => {
          const { all } = history(seeds);
          const cache = new RangeCache();
          for (const pick of picks) {
            const picked = all[pick % all.length]!;
            if (pick % 7 === 0) cache.evict(picked);
            else cache.insert(picked);
            for (const key of KEYS) {
              const found = cache.get(key);
              assert.ok(found === undefined || covers(found, key), `${key} in ${found?.start}..${found?.end}`);
            }
            const entries = cache.routes();
            assert.equal(new Set(entries.map(({ regionId }) => regionId)).size, entries.length);
            for (let i = 1; i < entries.length; i++) {
              assert.ok(entries[i - 1]!.end !== "" && entries[i - 1]!.end <= entries[i]!.start, "entries overlap");
            }
          }
        },
      ),
    );
  });

  it("holds exactly the current regions once it has heard of them, and old news cannot displace them", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(10_000), { maxLength: 30 }),
        fc.array(fc.nat(10_000), { maxLength: 40 }),
        (seeds, picks) => {
          const { all, current } = history(seeds);
          const cache = new RangeCache();
          for (const pick of picks) cache.insert(all[pick % all.length]!);
          for (const region of current) cache.insert(region);
          for (const pick of picks) cache.insert(all[pick % all.length]!);
          assert.deepEqual(
            cache.routes().map(({ start, version, confVer }) => [start, version, confVer]),
            current.map(({ start, version, confVer }) => [start, version, confVer]),
          );
        },
      ),
    );
  });

  it("keeps a fresh entry when a late error tries to evict the version it failed with", () => {
    const cache = new RangeCache();
    const old = route(1, "", "m", 1);
    const fresh = route(1, "", "m", 1, 2);
    cache.insert(old);
    cache.insert(fresh);
    assert.equal(cache.evict(old), false);
    assert.equal(cache.get("a"), fresh);
    assert.equal(cache.evict(fresh), true);
    assert.equal(cache.get("a"), undefined);
  });

  it("keeps the very object when it hears the same again", () => {
    const cache = new RangeCache();
    const first = route(1, "", "m");
    cache.insert(first);
    assert.equal(cache.insert(route(1, "", "m")), true);
    assert.equal(cache.get("a"), first);
  });

  it("names one hole for all keys between two entries", () => {
    const cache = new RangeCache();
    cache.insert(route(1, "", "d"));
    cache.insert(route(2, "m", "p"));
    assert.equal(cache.holeAt("d"), cache.holeAt("l"));
    assert.notEqual(cache.holeAt("l"), cache.holeAt("q"));
  });
});
