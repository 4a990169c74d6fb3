import assert from "node:assert/strict";
import { bytesText, durationText, keyText, renderTable } from "./output.js";

describe("output", () => {
  it("aligns text to the left and numbers to the right", () => {
    const table = renderTable(
      ["ID", "NAME", "REGIONS"],
      [
        [1, "store-0", 12],
        [10, "s", 3],
      ],
    );
    assert.equal(table, "ID  NAME     REGIONS\n 1  store-0       12\n10  s              3\n");
  });

  it("shows keys on one line and without loss", () => {
    assert.equal(keyText(Buffer.from("user/é 1")), "user/é 1");
    assert.equal(keyText(Buffer.from("a\n\\b")), "a\\x0a\\\\b");
    assert.equal(keyText(Buffer.from([0xff, 0x61, 0x5c])), "\\xffa\\\\");
  });

  it("names sizes and durations in the unit that fits", () => {
    assert.deepEqual([0, 1023, 1024, 96 * 1024 * 1024].map(bytesText), ["0 B", "1023 B", "1.0 KiB", "96.0 MiB"]);
    assert.deepEqual([350, 12_000, 240_000, 7_300_000].map(durationText), ["350 ms", "12 s", "4 min", "2 h"]);
  });
});
