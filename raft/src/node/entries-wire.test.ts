import assert from "node:assert/strict";
import { RaftMessage } from "@rhea/proto";
import fc from "fast-check";
import type { Entry, EntryType } from "../core/types.js";
import { ENTRY_KINDS, encodeEntries } from "./entries-wire.js";

/** What the generated encoder makes of the same entries. */
function generated(entries: readonly Entry[]): Uint8Array {
  const wire = entries.map(({ type, term, index, data }) => ({
    kind: ENTRY_KINDS.indexOf(type),
    term,
    index,
    data,
  }));
  return RaftMessage.encode({ entries: wire }).finish();
}

function entry(type: EntryType, term: number, index: number, bytes: number): Entry {
  return { type, term, index, data: Buffer.alloc(bytes, 7) };
}

describe("entries on the wire", () => {
  it("are what the generated encoder writes, at every size of numbers and data", () => {
    const edges = [
      0,
      1,
      127,
      128,
      2 ** 14 - 1,
      2 ** 14,
      2 ** 31 - 1,
      2 ** 31,
      2 ** 32,
      2 ** 35,
      Number.MAX_SAFE_INTEGER,
    ];
    const number = fc.oneof(fc.constantFrom(...edges), fc.maxSafeNat());
    const bytes = fc.constantFrom(0, 1, 100, 127, 128, 20_000);
    const any = fc.tuple(fc.constantFrom(...ENTRY_KINDS), number, number, bytes).map((parts) => entry(...parts));
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 5 }), (entries) => {
        const { field, dataBytes } = encodeEntries(entries);
        assert.deepEqual(Buffer.from(field ?? []), Buffer.from(generated(entries)));
        assert.equal(
          dataBytes,
          entries.reduce((sum, { data }) => sum + data.length, 0),
        );
      }),
    );
  });

  it("are encoded once for all who get the same ones, and never taken for others", () => {
    const first = [entry("normal", 3, 8, 100)];
    const second = [entry("normal", 4, 8, 100)];
    const { field } = encodeEntries(first);
    assert.equal(encodeEntries(first).field, field);
    assert.deepEqual(Buffer.from(encodeEntries(second).field ?? []), Buffer.from(generated(second)));
    assert.deepEqual(Buffer.from(encodeEntries(first).field ?? []), Buffer.from(generated(first)));
  });

  it("take no bytes when there are none", () => {
    assert.deepEqual(encodeEntries([]), { field: undefined, dataBytes: 0 });
  });
});
