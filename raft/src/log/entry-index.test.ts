import assert from "node:assert/strict";
import fc from "fast-check";
import { EntryIndex } from "./entry-index.js";
import { SegmentSet } from "./segment-set.js";

type Step =
  | { readonly kind: "push"; readonly count: number; readonly segment: number }
  | { readonly kind: "dropFrom" | "dropThrough" | "reset" | "replace"; readonly at: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("push" as const),
      count: fc.integer({ min: 1, max: 40 }),
      segment: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom("dropFrom" as const, "dropThrough" as const, "replace" as const),
      at: fc.integer({ min: 0, max: 60 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reset" as const), at: fc.integer({ min: 1, max: 500 }) }) },
);

describe("EntryIndex", () => {
  it("behaves like a list of entries and keeps the segments' live counts exact", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const segments = new SegmentSet();
        for (const sequence of [1, 2, 3])
          segments.add({ sequence, path: "", salt: 0, file: undefined, headBytes: 0, bytes: 0 });
        const index = new EntryIndex(segments, 1);
        let first = 1;
        let model: { term: number; segment: number; offset: number; length: number }[] = [];
        let made = 0;
        const make = (segment: number) => ({ term: ++made * 2 ** 33, segment, offset: made * 7, length: made % 90 });
        for (const action of steps) {
          const at = action.kind === "push" ? 0 : first - 2 + action.at;
          switch (action.kind) {
            case "push":
              for (let i = 0; i < action.count; i++) {
                const place = make(action.segment);
                model.push(place);
                index.push(place.term, place.segment, place.offset, place.length);
              }
              break;
            case "dropFrom":
              index.dropFrom(at);
              model = model.slice(0, Math.max(0, at - first));
              break;
            case "dropThrough":
              index.dropThrough(at);
              model = model.slice(Math.max(0, at - first + 1));
              first = Math.max(first, at + 1);
              break;
            case "replace":
              if (at >= first && at < first + model.length) {
                const place = make(3);
                model[at - first] = place;
                index.replace(at, place.term, place.segment, place.offset, place.length);
              }
              break;
            case "reset":
              index.reset(action.at);
              first = action.at;
              model = [];
              break;
          }
          assert.equal(index.first, first);
          assert.equal(index.last, first + model.length - 1);
        }
        model.forEach((place, i) => {
          const at = first + i;
          const found = {
            term: index.term(at),
            segment: index.segment(at),
            offset: index.offset(at),
            length: index.length(at),
          };
          assert.deepEqual(found, place);
        });
        for (const segment of segments.all()) {
          const live = model.filter((place) => place.segment === segment.sequence);
          assert.equal(segment.liveEntries, live.length);
          assert.equal(
            segment.liveBytes,
            live.reduce((sum, place) => sum + place.length, 0),
          );
        }
        assert.equal(segments.liveBytes, index.liveBytes);
      }),
    );
  });
});
