import assert from "node:assert/strict";
import type { Observed } from "./observed.js";
import { KILLED, NOW, observed, pdMember, pdRecord, pdStore, record, region, view, wanted } from "./plan-fixture.js";
import { plan } from "./plan.js";

function cluster(stores: number, replicas: number, dead = 0, change: Parameters<typeof region>[2] = {}): Observed {
  const ordinals = Array.from({ length: stores }, (_, i) => i);
  return observed({
    stores: ordinals.map((i) => record(i, i < dead ? { process: KILLED } : {})),
    view: view({
      stores: ordinals.map((i) => pdStore(i)),
      regions: [region(5, ordinals.slice(0, replicas), { isFullyReplicated: dead === 0, ...change })],
    }),
  });
}

const storesOf = (seen: Observed) => plan(seen, wanted(), NOW).disruptions.storesMinAvailable;

describe("disruptions", () => {
  for (const [what, seen, expected] of [
    ["a cluster of one is never blocked", cluster(1, 1), 0],
    ["a healthy cluster lets one of three go", cluster(3, 3), 2],
    ["two of five where each region has five peers", cluster(5, 5), 3],
    ["none when one is down already", cluster(3, 3, 1), 2],
    ["one more of five when one is down already", cluster(5, 5, 1), 3],
    ["one at a time where regions have one peer", cluster(3, 1), 2],
    ["none while a region is short of peers", cluster(4, 2, 0, { isFullyReplicated: false }), 4],
  ] as const) {
    it(`${what}: ${expected} stores stay`, () => assert.equal(storesOf(seen), expected));
  }

  it("lets no store go while PD does not answer", () => {
    assert.equal(storesOf({ ...cluster(3, 3), view: undefined }), 3);
  });

  for (const [members, expected] of [
    [1, 0],
    [3, 2],
    [5, 3],
  ] as const) {
    it(`keeps ${expected} of ${members} PD members`, () => {
      const ordinals = Array.from({ length: members }, (_, i) => i);
      const seen = observed({
        pds: ordinals.map((i) => pdRecord(i)),
        view: view({ members: ordinals.map((i) => pdMember(i, { isLeader: i === 0 })) }),
      });
      assert.equal(plan(seen, wanted(), NOW).disruptions.pdMinAvailable, expected);
    });
  }
});
