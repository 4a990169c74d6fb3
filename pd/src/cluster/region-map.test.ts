import { strict as assert } from "node:assert";
import { PeerRole } from "@rhea/proto";
import fc from "fast-check";
import { RegionMap, regionScore } from "./region-map.js";
import type { RegionDescriptor } from "./region.js";

/** A history of one keyspace: every descriptor that ever was, in order, and the present ones. */
interface History {
  readonly all: RegionDescriptor[];
  readonly present: Map<number, RegionDescriptor>;
}

interface Event {
  readonly pick: number;
  readonly kind: "split" | "add" | "remove" | "merge";
}

const KEYS = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));

function play(events: readonly Event[]): History {
  const first = { regionId: 1, startKey: "", endKey: "", confVer: 1, version: 1, peers: [voter(1, 1)] };
  const history: History = { all: [first], present: new Map([[1, first]]) };
  let nextId = 100;
  const note = (region: RegionDescriptor) => {
    history.all.push(region);
    history.present.set(region.regionId, region);
  };
  for (const { pick, kind } of events) {
    const regions = [...history.present.values()].sort((a, b) => (a.startKey < b.startKey ? -1 : 1));
    const at = pick % regions.length;
    const region = regions[at]!;
    if (kind === "split") {
      const inside = KEYS.filter((key) => key > region.startKey && (region.endKey === "" || key < region.endKey));
      if (inside.length === 0) continue;
      const key = inside[pick % inside.length]!;
      const version = region.version + 1;
      note({ ...region, endKey: key, version });
      note({
        ...region,
        regionId: nextId++,
        startKey: key,
        version,
        peers: region.peers.map((p) => ({ ...p, peerId: nextId++ })),
      });
    } else if (kind === "merge") {
      const right = regions[at + 1];
      if (right === undefined) continue;
      history.present.delete(right.regionId);
      note({ ...region, endKey: right.endKey, version: Math.max(region.version, right.version) + 1 });
    } else if (kind === "add") {
      const storeId = (pick % 7) + 1;
      if (region.peers.some((peer) => peer.storeId === storeId)) continue;
      note({ ...region, confVer: region.confVer + 1, peers: [...region.peers, voter(nextId++, storeId)] });
    } else if (region.peers.length > 1) {
      note({ ...region, confVer: region.confVer + 1, peers: region.peers.slice(1) });
    }
  }
  return history;
}

function voter(peerId: number, storeId: number) {
  return { peerId, storeId, role: PeerRole.VOTER };
}

function requireConsistent(map: RegionMap, seen: Map<number, { confVer: number; version: number }>): void {
  const regions = map.scan("", "", 10_000);
  assert.equal(regions.length, map.size);
  regions.forEach((region, i) => {
    const next = regions[i + 1];
    if (next !== undefined) assert.ok(region.endKey !== "" && region.endKey <= next.startKey, "ranges overlap");
    const before = seen.get(region.regionId) ?? { confVer: 0, version: 0 };
    assert.ok(region.confVer >= before.confVer && region.version >= before.version, "an epoch fell");
    seen.set(region.regionId, { confVer: region.confVer, version: region.version });
    assert.equal(map.find(region.startKey)?.regionId, region.regionId);
  });
  for (let storeId = 1; storeId <= 7; storeId++) {
    const here = regions.filter((region) => region.peers.some((peer) => peer.storeId === storeId));
    const usage = map.usage(storeId);
    assert.deepEqual([...usage.regionIds].sort(), here.map((region) => region.regionId).sort());
    assert.equal(
      usage.sizeScore,
      here.reduce((sum, region) => sum + regionScore(region), 0),
    );
    const led = here.filter((region) => region.leaderStoreId === storeId);
    assert.deepEqual([...usage.leaderRegionIds].sort(), led.map((region) => region.regionId).sort());
  }
}

const events = fc.array(
  fc.record({
    pick: fc.nat(1000),
    kind: fc.constantFrom("split" as const, "split" as const, "add" as const, "remove" as const, "merge" as const),
  }),
  { maxLength: 25 },
);

describe("RegionMap", () => {
  it("never overlaps and never lets an epoch fall, whatever the order of reports", () => {
    fc.assert(
      fc.property(events, fc.array(fc.tuple(fc.nat(1000), fc.nat(200)), { maxLength: 60 }), (history, order) => {
        const { all } = play(history);
        const map = new RegionMap();
        for (const [pick, megabytes] of order) {
          const region = all[pick % all.length]!;
          // A region that was evicted may come back with an older epoch than it once had, but never beside a newer one.
          const seen = new Map(
            map.scan("", "", 10_000).map((r) => [r.regionId, { confVer: r.confVer, version: r.version }]),
          );
          map.put(region);
          const leader = region.peers[0]!;
          const known = map.get(region.regionId);
          if (known?.peers.some((peer) => peer.peerId === leader.peerId) === true) {
            map.report(region.regionId, report(leader.peerId, leader.storeId, megabytes));
          }
          requireConsistent(map, seen);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("covers the keyspace without a hole once every present region has reported", () => {
    fc.assert(
      fc.property(events, fc.array(fc.nat(1000), { maxLength: 40 }), (history, order) => {
        const { all, present } = play(history);
        const map = new RegionMap();
        for (const pick of order) map.put(all[pick % all.length]!);
        for (const region of present.values()) map.put(region);
        assert.equal(map.findHole(), undefined);
        assert.equal(map.size, present.size);
        for (const region of present.values()) assert.equal(map.get(region.regionId)?.version, region.version);
      }),
      { numRuns: 300 },
    );
  });

  it("scans from the region that holds the start key, in order, up to the limit", () => {
    const map = new RegionMap();
    const at = (regionId: number, startKey: string, endKey: string) =>
      map.put({ regionId, startKey, endKey, confVer: 1, version: regionId, peers: [voter(regionId, 1)] });
    at(2, "", "g");
    at(3, "g", "p");
    at(4, "p", "");
    const ids = (start: string, end: string, limit: number) => map.scan(start, end, limit).map((r) => r.regionId);
    assert.deepEqual(ids("h", "", 10), [3, 4]);
    assert.deepEqual(ids("g", "p", 10), [3]);
    assert.deepEqual(ids("", "", 2), [2, 3]);
    map.remove(3);
    assert.deepEqual(map.findHole(), { startKey: "g", endKey: "p" });
    assert.equal(map.find("h"), undefined);
  });
});

function report(leaderPeerId: number, leaderStoreId: number, megabytes: number) {
  return {
    ...{
      leaderPeerId,
      leaderStoreId,
      term: 6,
      downPeerIds: [],
      pendingPeerIds: [],
      caughtUpPeerIds: [],
      reportedAtMs: 1,
    },
    ...{
      approximateSize: megabytes * 1e6,
      approximateKeys: 1,
      bytesWritten: 0,
      bytesRead: 0,
      keysWritten: 0,
      keysRead: 0,
    },
  };
}
