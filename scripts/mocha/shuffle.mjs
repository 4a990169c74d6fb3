/**
 * Returns a small seeded random source (mulberry32): the same seed always gives the same values in [0, 1).
 *
 * @param {number} seed
 * @returns {() => number}
 */
export function seededRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Shuffles a mocha suite in place, all the way down. Called before the first test of a run.
 *
 * @param {import("mocha").Suite} suite
 * @param {number} seed
 */
export function seededShuffle(suite, seed) {
  const random = seededRandom(seed);
  const visit = (/** @type {import("mocha").Suite} */ current) => {
    shuffle(current.tests, random);
    shuffle(current.suites, random);
    current.suites.forEach(visit);
  };
  visit(suite);
}

/**
 * @param {unknown[]} items
 * @param {() => number} random
 */
function shuffle(items, random) {
  for (let last = items.length - 1; last > 0; last--) {
    const pick = Math.floor(random() * (last + 1));
    [items[last], items[pick]] = [items[pick], items[last]];
  }
}
