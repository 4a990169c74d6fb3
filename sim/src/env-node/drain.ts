/** The simulator's one touch of the real event loop. */

/** Resolves when every promise callback that can run now has run. */
export function drainMicrotasks(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
