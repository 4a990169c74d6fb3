/** What campaigns take from the real world: time, the day, and seeds that nobody has run before. */
import { randomInt } from "node:crypto";

/** Returns a function that says whether `seconds` have passed since now. */
export function deadlineIn(seconds: number): () => boolean {
  const endMs = performance.now() + seconds * 1000;
  return () => performance.now() >= endMs;
}

/** Returns the day of the month, in UTC. */
export function dayOfMonth(): number {
  return new Date().getUTCDate();
}

/** Returns the first of many seeds that no earlier campaign ran, most likely. */
export function freshSeed(): number {
  return randomInt(1_000_000, 2 ** 40);
}
