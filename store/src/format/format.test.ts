import assert from "node:assert/strict";
import fc from "fast-check";
import { CommandResult } from "@rhea/proto";
import { encodeApplied } from "./command-result.js";
import { decodeEntry, encodeEntry } from "./entry.js";
import { namespaceRange, regionKey, sequenceOfKey, sessionRange, sessionKey } from "./keys.js";
import { decodeApplyState, decodeRegionRecord, encodeApplyState, encodeRegionRecord } from "./region-record.js";
import { decodeEnvelope, encodeEnvelope } from "./value-envelope.js";

const seed = process.env["SEED"] === undefined ? {} : { seed: Number(process.env["SEED"]) };

describe("value envelope", () => {
  it("gives back any value and refuses it under another key or with any bit flipped", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(), fc.nat(), (bytes, at, bit) => {
        const envelope = encodeEnvelope("dkey", bytes, 2 ** 40 + 7);
        assert.deepEqual([...decodeEnvelope("dkey", envelope)], [...bytes]);
        assert.throws(() => decodeEnvelope("dkez", envelope), { code: "CORRUPTION" });
        const flipped = Buffer.from(envelope);
        const place = at % flipped.length;
        flipped[place] = (flipped[place] ?? 0) ^ (1 << (bit % 8));
        assert.throws(() => decodeEnvelope("dkey", flipped));
      }),
      seed,
    );
  });
});

describe("keys", () => {
  it("keep the order of ids and stay inside their ranges", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (a, b) => {
        assert.equal(Math.sign(a - b), regionKey(a) < regionKey(b) ? -1 : regionKey(a) > regionKey(b) ? 1 : 0);
        assert.equal(sequenceOfKey(regionKey(a)), a);
        const range = sessionRange(a);
        const key = sessionKey(a, "\xff".repeat(16));
        assert.ok(key >= range.start && key < range.end);
      }),
      seed,
    );
  });

  it("bound a namespace by its region or its own end", () => {
    assert.deepEqual(namespaceRange("d", "a", ""), { start: "da", end: "e" });
    assert.deepEqual(namespaceRange("d", "", "m"), { start: "d", end: "dm" });
  });
});

describe("local records", () => {
  const record = {
    descriptor: {
      regionId: 7,
      start: "\x00a",
      end: "\xff",
      epoch: { confVer: 3, version: 4 },
      peers: [{ peerId: 1, storeId: 2, role: 1 as const }],
    },
    peerId: 1,
    confState: { voters: [1], learners: [2], votersOutgoing: [], learnersNext: [], autoLeave: false },
    logStarted: false,
    awaitingSnapshot: true,
  };

  it("come back as they were written", () => {
    assert.deepEqual(decodeRegionRecord(encodeRegionRecord(record)), record);
    const state = { index: 2 ** 52, term: 3, revision: 4, stamp: 5, approximateSize: 6.5, approximateKeys: 7 };
    assert.deepEqual(decodeApplyState(encodeApplyState(state)), state);
  });

  it("are refused when damaged or of an unknown version", () => {
    const bytes = encodeRegionRecord(record);
    bytes[9] = (bytes[9] ?? 0) ^ 1;
    assert.throws(() => decodeRegionRecord(bytes), { code: "CORRUPTION" });
    const future = encodeRegionRecord(record);
    future[0] = 9;
    assert.throws(() => decodeRegionRecord(future), { code: "VERSION_UNSUPPORTED" });
  });
});

describe("command result", () => {
  it("written by hand has the general encoder's bytes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (revision) => {
        assert.deepEqual([...encodeApplied(revision)], [...CommandResult.encode({ applied: true, revision }).finish()]);
      }),
      seed,
    );
  });
});

describe("entry payload", () => {
  it("carries the commands' bytes unchanged and refuses an unknown version", () => {
    const commands = [Buffer.from([1, 2, 3]), Buffer.from([])];
    const entry = encodeEntry({ stamp: 2 ** 45, version: 2, confVer: 3, featureLevel: 1, commands });
    const payload = decodeEntry(entry, 9);
    assert.deepEqual(
      payload.commands.map((bytes) => [...bytes]),
      commands.map((bytes) => [...bytes]),
    );
    assert.equal(payload.stamp, 2 ** 45);
    entry[0] = 2;
    assert.throws(() => decodeEntry(entry, 9), { code: "VERSION_UNSUPPORTED" });
  });
});
