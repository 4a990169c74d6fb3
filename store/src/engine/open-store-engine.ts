/** Opens a store engine: the package's front door. */
import { createRaftHost, openLog } from "@rhea/raft";
import type { StoreEngine, StoreEngineOptions } from "./api.js";
import { openEngineWith } from "./open-engine-with.js";
import type { StoreEngineCore } from "./store-engine.js";

/**
 * Opens the engine and starts its groups; the services answer once the owner listens. Throws CORRUPTION when the store as a whole
 * cannot be trusted, DISK_LOST when log and data do not belong together; regions that alone cannot be trusted are listed by
 * {@link StoreEngine.faults}.
 */
export async function openStoreEngine(options: StoreEngineOptions): Promise<StoreEngine> {
  return openEngine(options);
}

/** The same for this package's own process, which sees more of the engine. */
export function openEngine(options: StoreEngineOptions): Promise<StoreEngineCore> {
  return openEngineWith(options, { openLog, createRaftHost });
}
