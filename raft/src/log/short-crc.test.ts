import assert from "node:assert/strict";
import { crc32 } from "@rhea/common";
import fc from "fast-check";
import { viewOf } from "./byte-io.js";
import { crcOfRange } from "./short-crc.js";

describe("CRC of a range", () => {
  it("is zlib's for every length around its strides and its limit, wherever the range begins", () => {
    const bytes = Buffer.from(Array.from({ length: 1024 }, (_, i) => (i * 7919) >>> 3));
    for (let length = 0; length <= 600; length++) {
      const start = length % 19;
      const range = bytes.subarray(start, start + length);
      assert.equal(crcOfRange(bytes, viewOf(bytes), start, start + length, 77), crc32(range, 77), `length ${length}`);
    }
  });

  it("is zlib's for any bytes and any seed", () => {
    const seed = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), seed, (given, from) => {
        const bytes = Buffer.from(given);
        assert.equal(crcOfRange(bytes, viewOf(bytes), 0, bytes.length, from), crc32(bytes, from));
      }),
    );
  });
});
