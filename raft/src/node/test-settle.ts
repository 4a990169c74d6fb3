import { nodeScheduler } from "@rhea/common/env-node";

/** Resolves when every promise callback that can run now has run. */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    nodeScheduler.nextTurn(resolve);
  });
}
