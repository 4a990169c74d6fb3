import { NOTHING, act, blocked, joinParts, type Action, type PlanPart } from "./action.js";
import { isInTransit, isMember, isServing, neverRegistered, type Context, type JudgedStore } from "./judge.js";
import { planDrains } from "./drains.js";
import { deadStores, deletion } from "./replacement.js";
import { chooseVictim, describeVictim, isRegistered } from "./victim.js";

/**
 * Brings the number of members (stores that neither drain, leave nor are dead) to `wanted`. Out: drains in progress are cancelled first, then stores
 * are added, `stores.maxParallelScaleOut` at a time once the cluster is bootstrapped. In: one store at a time drains, becomes a tombstone, is
 * deleted. Raising the number again cancels at every step before the tombstone.
 *
 * @param wanted `stores.replicas`, or what the autoscaler decided
 */
export function planScale(context: Context, wanted: number): PlanPart {
  const { view, observed } = context;
  const members = context.stores.filter(isMember);
  const missing = wanted - members.length;
  const goal = `${wanted} stores are wanted and ${members.length} are members`;
  if (view === undefined) {
    // Without PD's view stores are only made where there cannot be a view: before the cluster's first start.
    const isNew = observed.pds.every(({ initialised }) => !initialised);
    return isNew && missing > 0 ? addStores(context, missing, "the cluster is new") : NOTHING;
  }
  const { returning, part: drains } = planDrains(context, view, missing);
  if (missing - returning > 0) return joinParts(drains, scaleOut(context, members, missing - returning, goal));
  if (drains !== NOTHING) return drains;
  return missing < 0 ? scaleIn(context, members, -missing, goal) : NOTHING;
}

function scaleOut(context: Context, members: readonly JudgedStore[], missing: number, goal: string): PlanPart {
  const { view, desired } = context;
  const { taken, left } = deadStores(context);
  // The dead that are left alone say so themselves, and keep their places; but what is replaced now needs somewhere to go.
  const homeless = taken.length > 0 ? Math.min(desired.regionReplicas, members.length + missing) - members.length : 0;
  const allowed = Math.max(missing - left.length, homeless);
  if (allowed <= 0) return NOTHING;
  if (view?.isBootstrapped !== true) return addStores(context, allowed, goal);
  const joining = members.filter(({ pd }) => pd === undefined);
  const room = desired.maxParallelScaleOut - joining.length;
  if (room > 0) return addStores(context, Math.min(allowed, room), goal);
  const names = joining.map(({ record }) => record.name).join(", ");
  return blocked("cluster", `${goal}: the next store is added when ${names} has registered`, { isWaiting: true });
}

function addStores({ observed, desired, view, stores }: Context, count: number, goal: string): PlanPart {
  const known = [...observed.stores.map(({ name }) => name), ...(view?.stores ?? []).map(({ name }) => name)];
  const prefix = `${desired.name}-store-`;
  const ordinals = known.filter((name) => name.startsWith(prefix)).map((name) => Number(name.slice(prefix.length)));
  const first = Math.max(observed.nextOrdinal, ...ordinals.filter(Number.isSafeInteger).map((ordinal) => ordinal + 1));
  const dead = stores.filter(({ verdict }) => verdict.kind === "dead").map(({ record }) => `${record.name} is dead`);
  const leaving = stores.filter(({ isLeaving }) => isLeaving).map(({ record }) => `${record.name} is to be replaced`);
  const actions = Array.from({ length: count }, (_, index): Action => ({
    kind: "addStore",
    name: `${prefix}${first + index}`,
    ordinal: first + index,
    reason: [goal, ...dead, ...leaving].join("; "),
    proof: `ordinal ${first + index} was never used; an empty store holds no vote`,
    undo: "lower stores.replicas: it is drained and removed",
  }));
  return { actions, blocked: [] };
}

function scaleIn(context: Context, members: readonly JudgedStore[], surplus: number, goal: string): PlanPart {
  const { desired } = context;
  const wait = (reason: string) => blocked("cluster", `${goal}: ${reason}`, { isWaiting: true });
  const draining = context.stores.filter(
    ({ verdict, record }) => verdict.kind === "draining" && record.drainedByOperator,
  );
  if (draining.length > 0) {
    return wait(`the next store drains when ${draining.map(({ record }) => record.name).join(", ")} has gone`);
  }
  const dead = context.stores.filter(({ verdict }) => verdict.kind === "dead");
  if (dead.length > 0) return wait(`no store drains while ${dead.map(({ record }) => record.name).join(", ")} is dead`);
  const stillborn = members.find((store) => neverRegistered(store, context));
  if (stillborn !== undefined) {
    const proof = "it has not run since PD was asked, and PD has never known it, so no region has a peer on it";
    return deletion(stillborn.record.name, goal, proof);
  }
  const unsettled = members.filter((store) => store.pd === undefined || isInTransit(store));
  if (unsettled.length > 0) {
    return wait(`a store drains when ${unsettled.map(({ record }) => record.name).join(", ")} is up`);
  }
  const live = members.filter(isServing).length;
  const known = members.filter(isRegistered);
  // Where no store that serves may go, one that does not still may.
  const idle = live - 1 < desired.regionReplicas ? known.filter((store) => !isServing(store)) : [];
  const victim = chooseVictim(idle.length > 0 ? idle : known, context);
  if (victim === undefined) return NOTHING;
  const victimLive = isServing(victim) ? 1 : 0;
  const remaining = live - victimLive;
  const proof = `${live} live stores - ${victimLive} = ${remaining}, regions.replicas is ${desired.regionReplicas}`;
  if (remaining < desired.regionReplicas) {
    return blocked("cluster", `${goal}: ${victim.record.name} is not drained: ${proof}`);
  }
  return act({
    kind: "drainStore",
    name: victim.record.name,
    storeId: victim.pd.storeId,
    reason: `${goal}: ${surplus} too many; ${describeVictim(victim)}`,
    proof,
    undo: "raise stores.replicas: the drain is cancelled",
  });
}
