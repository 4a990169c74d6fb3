import { NOTHING, type PlanPart } from "./action.js";
import type { Context } from "./judge.js";
import { outdatedOf } from "./member-facts.js";
import { LEASE_MS, RENEW_BELOW_MS } from "./rollout.js";
import { isRegistered } from "./victim.js";

/**
 * Keeps leaders off stores whose host is cordoned, before somebody drains it: under a lease that is renewed while it is cordoned and then ends by
 * itself. One more store at a time, when the ones before lead nothing any more; and never the last store that can lead.
 */
export function planCordons({ view, stores }: Context): PlanPart {
  if (view === undefined) return NOTHING;
  const live = stores.filter(isRegistered).filter(({ verdict }) => verdict.kind === "live");
  const cordoned = live.filter(({ record }) => record.host?.isCordoned === true);
  const canLead = live.filter((store) => store.pd.evictLeadersMsLeft === 0 && !cordoned.includes(store));
  if (canLead.length === 0) return NOTHING;
  const held = cordoned.filter(({ pd }) => pd.evictLeadersMsLeft > 0);
  const isLeaving = held.some(({ pd }) => pd.leaderCount > 0);
  // A rollout takes a lease of its own; it must find another store that can lead.
  const isRollingOut = stores.some(({ record }) => outdatedOf(record.process) !== undefined);
  const isEnough = canLead.length > (isRollingOut ? 1 : 0);
  const next = cordoned.find(({ pd }) => pd.evictLeadersMsLeft === 0);
  const due = held.filter(({ pd }) => pd.evictLeadersMsLeft < RENEW_BELOW_MS);
  const chosen = [...due, ...(next === undefined || isLeaving || !isEnough ? [] : [next])];
  return {
    actions: chosen.map(({ record, pd }) => ({
      kind: "evictLeaders",
      name: record.name,
      storeId: pd.storeId,
      ttlMs: LEASE_MS,
      reason: `its host ${record.host?.name ?? ""} is cordoned`,
      proof: `${canLead.length} of ${live.length} live stores can lead`,
      undo: "uncordon the host: the lease ends by itself",
    })),
    blocked: [],
  };
}
