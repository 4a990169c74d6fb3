import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { errorFromJson, errorToJson } from "./error-json.js";
import { errorFromWire, errorToWire } from "./error-wire.js";
import { ERROR_CODES, RheaError, type ErrorCode, type ErrorDetails } from "./errors.js";

const CODES = Object.keys(ERROR_CODES) as ErrorCode[];
const details: ErrorDetails = {
  regionId: 12,
  currentRegions: [
    {
      regionId: 12,
      startKey: Buffer.of(0, 255),
      endKey: Buffer.alloc(0),
      epoch: { confVer: 3, version: 8 },
      peers: [{ peerId: 4, storeId: 2, role: 1 }],
    },
  ],
  leader: { peerId: 4, storeId: 2, address: "s2:7410" },
  retryAfterMs: 50,
  maybeApplied: true,
};

describe("error table", () => {
  it("stands in the docs, row by row", () => {
    const text = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
    const written = text.split("\n").flatMap((line) => {
      const cells = line.split("|").map((cell) => cell.trim());
      return cells[1]?.startsWith("`") === true ? [cells.slice(1, 6).join(" | ")] : [];
    });
    const expected = Object.entries(ERROR_CODES).map(
      ([code, row]) => `\`${code}\` | ${row.exit} | ${row.grpc} | ${row.retryable ? "yes" : "no"} | ${row.when}`,
    );
    assert.deepEqual(written, expected);
  });

  it("has gRPC statuses and exit codes that exist", () => {
    for (const code of CODES) {
      const { grpc, exit } = ERROR_CODES[code];
      assert(Number.isInteger(grpc) && grpc >= 1 && grpc <= 16, code);
      assert(Number.isInteger(exit) && exit >= 1 && exit <= 255, code);
    }
  });

  it("goes over wire and JSON and back with every code and detail", () => {
    for (const code of CODES) {
      const error = new RheaError(code, `about ${code}`, { details });
      for (const back of [errorFromWire(errorToWire(error)), errorFromJson(errorToJson(error))]) {
        assert.equal(back.code, code);
        assert.equal(back.message, error.message);
        assert.equal(back.retryable, error.retryable);
        assert.deepEqual(back.details, details);
      }
    }
  });

  it("turns a code of a newer version into INTERNAL that names it", () => {
    const wire = { ...errorToWire(new RheaError("NOT_FOUND", "gone")), code: "OF_TOMORROW" };
    const error = errorFromWire(wire);
    assert.equal(error.code, "INTERNAL");
    assert.equal(error.message, "OF_TOMORROW: gone");
  });
});
