/** The world's one source of randomness: sfc32, seeded by a whole number. */
import type { Rng } from "@rhea/common";

/** A replayable random source. */
export interface Random extends Rng {
  /** A fraction in [0, 1). */
  fraction(): number;
  /** True with the given probability (0..1). */
  chance(probability: number): boolean;
  /** One of the items; undefined for none. */
  pick<T>(items: readonly T[]): T | undefined;
  /** A number in [from, to). */
  between(from: number, to: number): number;
}

/** Makes a source; the same seed gives the same numbers. */
export function createRandom(seed: number): Random {
  let a = 0x9e3779b9 ^ seed;
  let b = 0x243f6a88 ^ Math.trunc(seed / 0x1_0000_0000);
  let c = 0xb7e15162;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 16; i++) next();
  const fraction = (): number => next() / 0x1_0000_0000;
  return {
    fraction,
    int: (bound) => Math.floor(fraction() * bound),
    chance: (probability) => fraction() < probability,
    between: (from, to) => from + fraction() * (to - from),
    pick: (items) => items[Math.floor(fraction() * items.length)],
    bytes: (length) => Buffer.from(Array.from({ length }, () => next() & 255)),
  };
}
