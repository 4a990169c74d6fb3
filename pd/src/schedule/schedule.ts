/** The two questions of scheduling: what does this region need, and what would make the cluster more even. */
import { isLiveStore, type RegionView } from "../cluster/index.js";
import type { Proposal } from "../operations/index.js";
import { CHECKERS } from "./checkers/index.js";
import type { Checker, ClusterScheduler, ScheduleContext } from "./context.js";

/** Asks the checkers in order what the region needs. A region without a live leader cannot be changed, so nothing is asked. */
export function checkRegion(
  region: RegionView,
  context: ScheduleContext,
  checkers: readonly Checker[] = CHECKERS,
): Proposal | undefined {
  const { view, nowMs } = context;
  if (region.leaderPeerId === 0 || context.isBusy(region.regionId)) return undefined;
  if (!isLiveStore(view.stores.get(region.leaderStoreId), nowMs, view.settings)) return undefined;
  for (const checker of checkers) {
    const proposal = checker.check(region, context);
    if (proposal !== undefined && !context.isHeldBack(region.regionId, proposal.kind)) return proposal;
  }
  return undefined;
}

/** Asks one scheduler for up to `room` proposals of operations, none of them on a busy region. */
export function proposeBalance(
  scheduler: ClusterScheduler,
  context: ScheduleContext,
  room: number,
): readonly Proposal[] {
  if (room <= 0) return [];
  return scheduler.propose(context, room).filter(({ regionId }) => !context.isBusy(regionId));
}
