import { deepEqual, equal, notDeepEqual } from "node:assert/strict";
import { seededRng } from "./test-world.js";
import { RestSet, type RestTerms } from "./quiet-set.js";

const terms = (groupId: number, change: Partial<RestTerms> = {}): RestTerms => ({
  groupId,
  leader: 10 * groupId + 1,
  follower: 10 * groupId + 2,
  term: 5,
  commit: 100,
  ...change,
});

/** The buckets found different. */
function differing(mine: RestSet<RestTerms>, theirs: RestSet<RestTerms>): number[] {
  const found: number[] = [];
  mine.compare(theirs.digest(), (bucket, isSame) => {
    if (!isSame) found.push(bucket);
  });
  return found.sort((a, b) => a - b);
}

describe("sets of resting groups", () => {
  it("are the same whatever the order in which they came to be, also after entries came and went", () => {
    const seed = Number(process.env["SEED"] ?? 7);
    const rng = seededRng(seed);
    const mine = new RestSet<RestTerms>();
    const theirs = new RestSet<RestTerms>();
    const ids = Array.from({ length: 500 }, (_, i) => i + 1);
    for (const id of ids) mine.add(terms(id));
    for (let i = 0; i < 2_000; i++) {
      const id = 1 + rng.int(500);
      if (rng.int(2) === 0) theirs.add(terms(id, { term: rng.int(9) }));
      else theirs.remove(id);
    }
    for (const id of ids.reverse()) theirs.add(terms(id));
    deepEqual(theirs.digest(), mine.digest(), `seed ${seed}`);
    equal(theirs.size, 500);
    for (const id of ids) theirs.remove(id);
    equal(theirs.digest().length, 0);
  });

  it("differ in the bucket of a group about which any number is not the same", () => {
    const mine = new RestSet<RestTerms>();
    for (let id = 1; id <= 200; id++) mine.add(terms(id));
    const changes: Partial<RestTerms>[] = [
      { term: 6 },
      { commit: 101 },
      { commit: 100 + 2 ** 40 },
      { leader: 9 },
      { follower: 9 },
      { term: 100, commit: 5 },
    ];
    for (const change of changes) {
      const theirs = new RestSet<RestTerms>();
      for (let id = 1; id <= 200; id++) theirs.add(terms(id, id === 70 ? change : {}));
      deepEqual(differing(mine, theirs), [70 % 64], JSON.stringify(change));
      notDeepEqual(mine.digest(), theirs.digest());
    }
  });

  it("differ where one side has a bucket that is empty on the other, either way round", () => {
    const mine = new RestSet<RestTerms>();
    const theirs = new RestSet<RestTerms>();
    mine.add(terms(3));
    theirs.add(terms(3));
    mine.add(terms(4));
    theirs.add(terms(5));
    deepEqual(differing(mine, theirs), [4, 5]);
  });

  it("take a digest that is none for different", () => {
    const mine = new RestSet<RestTerms>();
    mine.add(terms(3));
    const found: [number, boolean][] = [];
    const digest = Buffer.concat([Buffer.alloc(9, 255), mine.digest(), mine.digest(), Buffer.from("rest")]);
    mine.compare(digest, (bucket, isSame) => found.push([bucket, isSame]));
    deepEqual(found, [[3, true]]);
  });
});
