/** Real time for campaigns: how long they may go on. */

/** Returns a function that says whether `seconds` have passed since now. */
export function deadlineIn(seconds: number): () => boolean {
  const endMs = performance.now() + seconds * 1000;
  return () => performance.now() >= endMs;
}
