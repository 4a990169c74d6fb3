/** The simulator's touch of the real event loop. */

/** Resolves when every promise callback that can run now has run: Node takes its tick queue up only when there is none left. */
export function drainMicrotasks(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
