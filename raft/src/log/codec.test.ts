import assert from "node:assert/strict";
import fc from "fast-check";
import type { ConfState } from "../core/types.js";
import type { GroupLifecycle, PendingInstall } from "./api.js";
import { ByteWriter, viewOf } from "./byte-io.js";
import {
  encodeLists,
  FRAME_HEADER_BYTES,
  frameEnd,
  isPayloadIntact,
  listBytes,
  readFrameBackward,
  readFrameHeader,
  readLists,
  setFrameHeader,
  type FrameGroup,
} from "./frame-codec.js";
import { decodeEntry, decodeState, encodeEntry, encodeState, type StateRecord } from "./record-codec.js";
import { encodeSegmentHead, readSegmentHead, segmentSalt, type GroupSummary } from "./segment-head.js";

/** Records with an ordinary prototype, as `deepEqual` wants them. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record<T>(model, { noNullPrototype: true });
const uint = fc.maxSafeNat();
const id = fc.integer({ min: 1, max: 2 ** 48 - 1 });
const peers = fc.array(uint, { maxLength: 5 });
const confState: fc.Arbitrary<ConfState> = record({
  voters: peers,
  learners: peers,
  votersOutgoing: peers,
  learnersNext: peers,
  autoLeave: fc.boolean(),
});
const install: fc.Arbitrary<PendingInstall> = record({
  file: fc.string({ unit: "grapheme" }),
  index: uint,
  term: uint,
  confState,
});
const hardState = record({ term: uint, vote: uint, commit: uint });
const reason = fc.string({ unit: "grapheme" });
const stateRecord: fc.Arbitrary<StateRecord> = fc.oneof(
  record({ kind: fc.constant("created" as const), groupId: id, peerId: uint, index: uint, term: uint }),
  record({ kind: fc.constant("hardState" as const), groupId: id, hardState }),
  record({ kind: fc.constant("truncate" as const), groupId: id, index: uint, term: uint }),
  fc.tuple(id, install).map(([groupId, pending]) => ({ kind: "install" as const, groupId, ...pending })),
  record({ kind: fc.constant("installed" as const), groupId: id }),
  record({ kind: fc.constant("destroyed" as const), groupId: id, peerId: uint, confVer: uint, version: uint }),
  record({ kind: fc.constant("condemned" as const), groupId: id, reason }),
);
const entry = record({
  term: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  index: uint,
  type: fc.constantFrom("normal" as const, "confChange" as const, "confChangeV2" as const),
  data: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
});
const lifecycle: fc.Arbitrary<GroupLifecycle> = fc.oneof(
  record({ state: fc.constant("live" as const), peerId: uint }),
  record({ state: fc.constant("destroyed" as const), peerId: uint, confVer: uint, version: uint }),
  record({ state: fc.constant("condemned" as const), peerId: uint, reason }),
);
const summary: fc.Arbitrary<GroupSummary> = record({
  groupId: id,
  lifecycle,
  hardState,
  truncatedIndex: uint,
  truncatedTerm: uint,
  lastIndex: uint,
  pendingInstall: fc.option(install, { nil: undefined }),
});
const salt = fc.integer({ min: 0, max: 2 ** 32 - 1 });

describe("record codec", () => {
  it("gives every record back, wherever it stands", () => {
    fc.assert(
      fc.property(stateRecord, uint, salt, fc.nat(100), (record, peer, seed, offset) => {
        const out = new ByteWriter(8);
        out.skip(offset);
        encodeState(out, seed, record, peer);
        const bytes = Buffer.from(out.slice());
        const decoded = decodeState(bytes, offset);
        assert.deepEqual(decoded.record, record);
        assert.equal(decoded.condemnedPeer, record.kind === "condemned" ? peer : 0);
      }),
    );
  });

  it("gives an entry back, and nothing once a bit of it differs", () => {
    fc.assert(
      fc.property(entry, id, salt, fc.nat(), (given, groupId, seed, place) => {
        const out = new ByteWriter(8);
        encodeEntry(out, seed, groupId, given, false);
        const bytes = Buffer.from(out.slice());
        assert.deepEqual(decodeEntry(bytes, seed, groupId, given.index), given);
        assert.equal(decodeEntry(bytes, (seed ^ 1) >>> 0, groupId, given.index), undefined);
        const at = place % bytes.length;
        bytes.writeUInt8(bytes.readUInt8(at) ^ 0x40, at);
        assert.equal(decodeEntry(bytes, seed, groupId, given.index), undefined);
      }),
    );
  });
});

describe("frame codec", () => {
  const groups: fc.Arbitrary<FrameGroup[]> = fc.array(record({ groupId: id, records: fc.nat(1000) }), {
    minLength: 1,
    maxLength: 8,
  });

  it("reads header and lists from the front, and bounds and lists from the back", () => {
    fc.assert(
      fc.property(
        groups,
        fc.uint8Array({ maxLength: 200 }),
        uint,
        uint,
        salt,
        fc.nat(300),
        (listed, records, sequence, durable, seed, offset) => {
          const out = new ByteWriter(8);
          out.skip(FRAME_HEADER_BYTES);
          out.bytes(records);
          encodeLists(out, seed, sequence, listed);
          setFrameHeader(out, seed, { sequence, durable, offset, listBytes: listBytes(listed.length) });
          const segment = Buffer.concat([Buffer.alloc(offset), out.slice(), Buffer.from("RHFR and rubbish")]);
          const header = readFrameHeader(segment, viewOf(segment), offset, seed);
          assert.ok(header);
          assert.deepEqual([header.sequence, header.durable, header.recordBytes], [sequence, durable, records.length]);
          assert.equal(frameEnd(header), offset + out.length);
          assert.ok(isPayloadIntact(segment, header, seed));
          const { listBytes: bytes, recordBytes } = header;
          assert.deepEqual(readFrameBackward(segment, 0, frameEnd(header), seed), {
            sequence,
            offset,
            recordBytes,
            listBytes: bytes,
          });
          for (const copy of [1, 2]) {
            const damaged = Buffer.from(segment);
            damaged.fill(0xff, frameEnd(header) - copy * bytes, frameEnd(header) - (copy - 1) * bytes);
            assert.deepEqual(readLists(damaged, header, seed), listed);
            assert.equal(isPayloadIntact(damaged, header, seed), false);
          }
        },
      ),
    );
  });

  it("takes a header only where it was written and in the segment it was written to", () => {
    const out = new ByteWriter(64);
    out.skip(FRAME_HEADER_BYTES);
    encodeLists(out, 5, 1, [{ groupId: 1, records: 0 }]);
    setFrameHeader(out, 5, { sequence: 1, durable: 0, offset: 10, listBytes: listBytes(1) });
    const at = (offset: number): Buffer => Buffer.concat([Buffer.alloc(offset), out.slice()]);
    assert.ok(readFrameHeader(at(10), viewOf(at(10)), 10, 5));
    assert.equal(readFrameHeader(at(11), viewOf(at(11)), 11, 5), undefined);
    assert.equal(readFrameHeader(at(10), viewOf(at(10)), 10, 6), undefined);
  });
});

describe("segment head codec", () => {
  it("gives the table back, and tells a damaged fixed part from a damaged table", () => {
    fc.assert(
      fc.property(
        fc.array(summary, { maxLength: 5 }),
        uint,
        uint,
        uint,
        salt,
        salt,
        fc.nat(),
        (groups, sequence, firstFrame, incarnation, a, b, place) => {
          const head = {
            sequence,
            firstFrame,
            logId: { a, b },
            incarnation,
            framesOf: 3,
            isSynced: incarnation % 2 === 0,
            groups,
          };
          const bytes = Buffer.from(encodeSegmentHead(head));
          const reading = readSegmentHead(Buffer.concat([bytes, Buffer.from("frames")]), "x.wal");
          assert.deepEqual(reading, {
            state: "good",
            head,
            bytes: bytes.length,
            salt: segmentSalt(head.logId, sequence),
          });
          const at = place % bytes.length;
          bytes.writeUInt8(bytes.readUInt8(at) ^ 0x02, at);
          assert.equal(readSegmentHead(bytes, "x.wal").state, at < 64 ? "bad" : "badTable");
        },
      ),
    );
  });
});
