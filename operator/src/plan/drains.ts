import { NOTHING, act, blocked, joinParts, type PlanPart } from "./action.js";
import {
  isInTransit,
  isMember,
  isServing,
  mustLeave,
  neverRegistered,
  type Context,
  type JudgedStore,
} from "./judge.js";
import type { PdView } from "./observed.js";
import { deletion } from "./replacement.js";
import { chooseVictim, describeVictim, isRegistered, type RegisteredStore } from "./victim.js";

/** What happens to drains, and how many stores come back by it. */
export interface Drains {
  readonly part: PlanPart;
  /** Drains that are cancelled: that many stores fewer have to be made. */
  readonly returning: number;
}

/**
 * Looks after drains that are under way, and begins those of stores that must leave. Ours are taken back when more stores are wanted, and when
 * another store could go with at most half the regions to move: then the mark of a store that had to leave is gone, or a dead store came back
 * after its spare had been made. Somebody else's through PD are left alone. Of any that has ended PD is told to remove the store.
 *
 * @param missing members that are wanted and not there; negative if there are too many
 */
export function planDrains(context: Context, view: PdView, missing: number): Drains {
  const draining = context.stores.filter(isRegistered).filter(({ verdict }) => verdict.kind === "draining");
  const ofScaleIn = draining
    .filter(({ record }) => record.drainedByOperator && !mustLeave(record))
    .sort((a, b) => b.pd.regionCount - a.pd.regionCount || a.record.ordinal - b.record.ordinal);
  const wantedBack = ofScaleIn.slice(0, Math.max(0, missing));
  const ended = draining.filter((store) => !wantedBack.includes(store) && (missing <= 0 || !ofScaleIn.includes(store)));
  const part = joinParts(
    ...wantedBack.map((store) =>
      cancel(
        store,
        `${missing} more stores are wanted: a drain in progress is taken back before a store is added`,
        "lower the number of stores again: it drains on",
      ),
    ),
    ...(missing <= 0 ? ofScaleIn.map((store) => exchange(store, context)) : []),
    ...ended.map((store) => finish(store, view)),
    begin(context, missing, draining),
  );
  return { part: part.actions.length + part.blocked.length === 0 ? NOTHING : part, returning: wantedBack.length };
}

/** Takes a drain back where another store would go with much less to move. It halves what is to move, so it cannot go back and forth. */
function exchange(store: RegisteredStore, context: Context): PlanPart {
  const { verdict, pd } = store;
  if (verdict.kind !== "draining" || !verdict.isRunning || pd.regionCount === 0) return NOTHING;
  if (context.stores.some((other) => other.verdict.kind === "dead" || isInTransit(other))) return NOTHING;
  const back: RegisteredStore = { ...store, verdict: { kind: "live" } };
  const victim = chooseVictim([...context.stores.filter(isMember).filter(isRegistered), back], context);
  if (victim === undefined || victim === back || victim.pd.regionCount * 2 > pd.regionCount) return NOTHING;
  const reason = `${describeVictim(victim)}: it goes instead`;
  return cancel(store, reason, "mark the store: it is drained again");
}

function cancel({ record: { name }, pd }: RegisteredStore, reason: string, undo: string): PlanPart {
  const proof = `it still has ${pd.regionCount} regions and is no tombstone`;
  return act({ kind: "cancelDrain", name, storeId: pd.storeId, reason, proof, undo });
}

/** Removes from PD what has drained, unless PD has a doubt that nothing is left there. */
function finish({ record, pd }: RegisteredStore, view: PdView): PlanPart {
  if (pd.regionCount > 0 || pd.drainBlocked !== "") return NOTHING;
  const left = view.regions.filter(({ peers }) => peers.some(({ storeId }) => storeId === pd.storeId)).length;
  if (left > 0) return NOTHING;
  return act({
    kind: "removeStore",
    name: record.name,
    storeId: pd.storeId,
    force: false,
    reason: "its drain has ended",
    proof: `0 of ${view.regions.length} regions have a peer on it`,
    undo: "none: the next store gets a new name and id",
  });
}

/** Begins the drain of one store that must leave, once there are enough members without it. */
function begin(context: Context, missing: number, draining: readonly JudgedStore[]): PlanPart {
  const { desired, stores } = context;
  const next = stores.find(({ isLeaving, verdict }) => isLeaving && verdict.kind !== "draining");
  if (next === undefined) return NOTHING;
  const { record, pd, verdict } = next;
  const why = record.wantsDrain ? "its user wants it replaced" : "its volume is being deleted";
  const wait = (reason: string) => blocked(record.name, `${why}: ${reason}`, { isWaiting: true });
  if (pd === undefined) {
    const proof = "it has not run since PD was asked, and PD has never known it, so no region has a peer on it";
    if (neverRegistered(next, context)) return deletion(record.name, why, proof);
    return wait("it is drained once it has registered");
  }
  if (draining.some((store) => store.record.drainedByOperator))
    return wait("it is drained after the one that drains now");
  const live = stores.filter((store) => isMember(store) && isServing(store)).length;
  const proof = `${live} live stores without it, regions.replicas is ${desired.regionReplicas}`;
  if (missing > 0) return wait(`${missing} more stores come first`);
  if (live < desired.regionReplicas) {
    const isWaiting = stores.some(isInTransit);
    return blocked(record.name, `${why}: it is not drained: ${proof}`, isWaiting ? { isWaiting } : {});
  }
  return act({
    kind: "drainStore",
    name: record.name,
    storeId: pd.storeId,
    reason: `${why}${verdict.kind === "live" ? "" : "; it does not serve"}`,
    proof,
    undo: record.wantsDrain ? "take the mark back: the drain is cancelled" : "none: its volume goes when it stops",
  });
}
