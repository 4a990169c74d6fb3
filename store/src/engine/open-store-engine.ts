/** Opens a store engine: the package's front door. */
import { createRaftHost, openLog } from "@rhea/raft";
import type { StoreEngine, StoreEngineOptions } from "./api.js";
import { openEngineWith } from "./open-engine-with.js";

/**
 * Opens the engine and starts its groups; the services answer once the owner listens. Throws CORRUPTION when the store as a whole
 * cannot be trusted; regions that alone cannot are listed by {@link StoreEngine.faults}.
 */
export async function openStoreEngine(options: StoreEngineOptions): Promise<StoreEngine> {
  return openEngineWith(options, { openLog, createRaftHost });
}
