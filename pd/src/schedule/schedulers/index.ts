/** The schedulers, in the order in which they get room. */
import type { ClusterScheduler } from "../context.js";
import { balanceLeadersScheduler } from "./balance-leaders.js";
import { balanceRegionsScheduler } from "./balance-regions.js";
import { evictLeadersScheduler } from "./evict-leaders.js";

export const SCHEDULERS: readonly ClusterScheduler[] = [
  evictLeadersScheduler,
  balanceLeadersScheduler,
  balanceRegionsScheduler,
];
