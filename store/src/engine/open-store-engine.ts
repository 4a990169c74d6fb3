/** Opens a store engine: markers checked, regions loaded, log reconciled, groups started. */
import type { StoreEngine, StoreEngineOptions } from "./api.js";

/**
 * Opens the engine and starts its groups; the services answer once the owner listens. Throws CORRUPTION when the store as a whole
 * cannot be trusted; regions that alone cannot are listed by {@link StoreEngine.faults}.
 */
export async function openStoreEngine(options: StoreEngineOptions): Promise<StoreEngine> {
  throw new Error(`not yet: store ${options.storeId}`);
}
