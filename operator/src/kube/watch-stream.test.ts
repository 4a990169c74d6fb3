import assert from "node:assert/strict";
import { RheaError } from "@rhea/common";
import fc from "fast-check";
import { parseEvent, splitLines } from "./watch-stream.js";

async function linesOf(chunks: readonly Uint8Array[], maxBytes = 1_000_000): Promise<string[]> {
  const lines: string[] = [];
  const stream = (async function* () {
    yield* chunks;
  })();
  for await (const line of splitLines(stream, maxBytes, "watch")) lines.push(line);
  return lines;
}

function hasCode(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof RheaError && error.code === code && message.test(error.message);
}

describe("watch stream", () => {
  it("gives the same lines however they are cut, inside characters too", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.string({ unit: "grapheme", minLength: 1 }).map((text) => JSON.stringify({ text })),
          { maxLength: 8 },
        ),
        fc.array(fc.nat({ max: 12 }), { minLength: 1, maxLength: 40 }),
        async (lines, sizes) => {
          const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""), "utf8");
          const chunks: Buffer[] = [];
          for (let at = 0, i = 0; at < bytes.length; i += 1) {
            const size = (sizes[i % sizes.length] ?? 0) + 1;
            chunks.push(bytes.subarray(at, at + size));
            at += size;
          }
          assert.deepEqual(await linesOf(chunks), lines);
        },
      ),
    );
  });

  it("takes several events from one chunk", async () => {
    assert.deepEqual(await linesOf([Buffer.from("1\n2\r\n\n3\n")]), ["1", "2\r", "3"]);
  });

  it("reports a stream that ends inside a line", async () => {
    await assert.rejects(linesOf([Buffer.from('{"a":1}\n{"ty')]), hasCode("UNAVAILABLE", /broke off .* after 4 bytes/));
  });

  it("refuses a line over its bound", async () => {
    await assert.rejects(
      linesOf([Buffer.alloc(60, 97), Buffer.alloc(60, 97)], 100),
      hasCode("KUBE_API", /over 100 bytes/),
    );
  });

  it("refuses what is no event, quoting it", () => {
    const event =
      (value: unknown): (() => unknown) =>
      () =>
        parseEvent(JSON.stringify(value), "watch of pods");
    assert.throws(
      () => parseEvent("{oops", "watch of pods"),
      hasCode("KUBE_API", /watch of pods: malformed JSON .*\{oops/),
    );
    assert.throws(event(null), hasCode("KUBE_API", /not an event/));
    assert.throws(event({ type: "RENAMED", object: {} }), hasCode("KUBE_API", /not an event/));
    assert.throws(
      event({ type: "ADDED", object: { metadata: {} } }),
      hasCode("KUBE_API", /without a resource version/),
    );
  });

  it("throws what an ERROR event says", () => {
    const line = JSON.stringify({
      type: "ERROR",
      object: { kind: "Status", code: 410, reason: "Expired", message: "too old" },
    });
    assert.throws(
      () => parseEvent(line, "watch of pods"),
      (error) => error instanceof RheaError && error.details.kube?.httpStatus === 410 && /too old/.test(error.message),
    );
    assert.throws(() => parseEvent('{"type":"ERROR","object":null}', "watch"), hasCode("KUBE_API", /null/));
  });
});
