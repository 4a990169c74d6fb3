import { NOTHING, type Action, type PlanPart } from "./action.js";
import { isMember, neverRegistered, type Context, type JudgedStore } from "./judge.js";
import type { PdStore, PdView } from "./observed.js";
import { deadStores, deletion } from "./replacement.js";

type RegisteredStore = JudgedStore & { readonly pd: PdStore };

/**
 * Brings the number of members (stores that neither drain nor are dead) to `stores.replicas`. Out: drains in progress are cancelled
 * first, then stores are added, one at a time once the cluster is bootstrapped. In: one store at a time drains, becomes a tombstone,
 * is deleted. Raising the number again cancels at every step before the tombstone.
 */
export function planScale(context: Context): PlanPart {
  const { view, observed, desired } = context;
  const members = context.stores.filter(isMember);
  const missing = desired.storeReplicas - members.length;
  if (view === undefined) {
    // Without PD's view stores are only made where there cannot be a view: before the cluster's first start.
    return observed.pds.some(({ initialised }) => initialised) || missing <= 0
      ? NOTHING
      : addStores(context, missing, "the cluster is new");
  }
  if (missing > 0) return scaleOut(context, view, members, missing);
  const finished = finishDrains(context, view);
  return missing < 0 && finished === NOTHING ? scaleIn(context, members, -missing) : finished;
}

function scaleOut(context: Context, view: PdView, members: readonly JudgedStore[], missing: number): PlanPart {
  const { stores, desired } = context;
  const wanted = `stores.replicas is ${desired.storeReplicas} and ${members.length} stores are members`;
  const returning = stores
    .filter((store): store is RegisteredStore => store.pd !== undefined)
    .filter(({ verdict, record }) => verdict.kind === "draining" && record.drainedByOperator)
    .sort((a, b) => b.pd.regionCount - a.pd.regionCount || a.record.ordinal - b.record.ordinal)
    .slice(0, missing);
  const cancelled = returning.map(({ record, pd }): Action => ({
    kind: "cancelDrain",
    name: record.name,
    storeId: pd.storeId,
    reason: `${wanted}: a drain in progress is taken back before a store is added`,
    proof: `it still has ${pd.regionCount} regions and is no tombstone`,
    undo: "lower stores.replicas again: it drains on",
  }));
  const toAdd = missing - cancelled.length;
  if (toAdd === 0) return { actions: cancelled, blocked: [] };
  const allowed = Math.min(toAdd, addable(context, members));
  if (allowed <= 0) return { actions: cancelled, blocked: [] }; // the dead that are left alone say so themselves
  const unregistered = members.filter(({ pd }) => pd === undefined);
  if (view.isBootstrapped && unregistered.length > 0) {
    const names = unregistered.map(({ record }) => record.name).join(", ");
    const blocked = [{ object: "cluster", reason: `${wanted}: the next store is added when ${names} has registered` }];
    return { actions: cancelled, blocked };
  }
  const added = addStores(context, view.isBootstrapped ? 1 : allowed, wanted);
  return { actions: [...cancelled, ...added.actions], blocked: added.blocked };
}

/** How many stores may be added so that at most `failover.maxReplacements` dead ones are stood in for. */
function addable(context: Context, members: readonly JudgedStore[]): number {
  return context.desired.storeReplicas - members.length - deadStores(context).left.length;
}

function addStores({ observed, desired, view, stores }: Context, count: number, wanted: string): PlanPart {
  const known = [...observed.stores.map(({ name }) => name), ...(view?.stores ?? []).map(({ name }) => name)];
  const prefix = `${desired.name}-store-`;
  const ordinals = known.filter((name) => name.startsWith(prefix)).map((name) => Number(name.slice(prefix.length)));
  const first = Math.max(observed.nextOrdinal, ...ordinals.filter(Number.isSafeInteger).map((ordinal) => ordinal + 1));
  const dead = stores.filter(({ verdict }) => verdict.kind === "dead").map(({ record }) => record.name);
  return {
    actions: Array.from({ length: count }, (_, index) => ({
      kind: "addStore",
      name: `${prefix}${first + index}`,
      ordinal: first + index,
      reason: dead.length === 0 ? wanted : `${wanted}; dead: ${dead.join(", ")}`,
      proof: `ordinal ${first + index} was never used; an empty store holds no vote`,
      undo: "lower stores.replicas: it is drained and removed",
    })),
    blocked: [],
  };
}

/** Removes from PD what has drained, unless PD has a doubt that nothing is left there. */
function finishDrains({ stores }: Context, view: PdView): PlanPart {
  const actions = stores.flatMap(({ record, pd, verdict }): Action[] => {
    if (verdict.kind !== "draining" || pd === undefined || pd.regionCount > 0 || pd.drainBlocked !== "") return [];
    const left = view.regions.filter(({ peers }) => peers.some(({ storeId }) => storeId === pd.storeId)).length;
    if (left > 0) return [];
    return [
      {
        kind: "removeStore",
        name: record.name,
        storeId: pd.storeId,
        force: false,
        reason: "its drain has ended",
        proof: `0 of ${view.regions.length} regions have a peer on it`,
        undo: "none: the next store gets a new name and id",
      },
    ];
  });
  return actions.length === 0 ? NOTHING : { actions, blocked: [] };
}

function scaleIn(context: Context, members: readonly JudgedStore[], surplus: number): PlanPart {
  const { stores, desired } = context;
  const wanted = `stores.replicas is ${desired.storeReplicas} and ${members.length} stores are members`;
  const wait = (reason: string): PlanPart => ({
    actions: [],
    blocked: [{ object: "cluster", reason: `${wanted}: ${reason}` }],
  });
  const draining = stores.filter(({ verdict, record }) => verdict.kind === "draining" && record.drainedByOperator);
  if (draining.length > 0) {
    const names = draining.map(({ record, pd }) => `${record.name} (${pd?.regionCount ?? 0} regions left)`).join(", ");
    return wait(`the next store drains when ${names} has gone`);
  }
  const dead = stores.filter(({ verdict }) => verdict.kind === "dead");
  if (dead.length > 0) return wait(`no store drains while ${dead.map(({ record }) => record.name).join(", ")} is dead`);
  const unregistered = members.filter(({ pd }) => pd === undefined);
  const stillborn = unregistered.find((store) => neverRegistered(store, context));
  if (stillborn !== undefined) {
    return deletion(
      stillborn.record.name,
      wanted,
      "it does not run and PD has never known it, so no region has a peer on it",
    );
  }
  if (unregistered.length > 0) {
    return wait(`a store drains when ${unregistered.map(({ record }) => record.name).join(", ")} has registered`);
  }
  const victim = members
    .filter((store): store is RegisteredStore => store.pd !== undefined)
    .sort((a, b) => rank(a) - rank(b) || a.pd.regionCount - b.pd.regionCount || b.record.ordinal - a.record.ordinal)[0];
  if (victim === undefined) return NOTHING;
  const live = members.filter(({ verdict }) => verdict.kind === "live").length;
  const victimLive = victim.verdict.kind === "live" ? 1 : 0;
  const remaining = live - victimLive;
  const arithmetic = `${live} live stores - ${victimLive} = ${remaining}, regions.replicas is ${desired.regionReplicas}`;
  if (remaining < desired.regionReplicas) return wait(`${victim.record.name} is not drained: ${arithmetic}`);
  return {
    actions: [
      {
        kind: "drainStore",
        name: victim.record.name,
        storeId: victim.pd.storeId,
        reason: `${wanted}: ${surplus} too many; ${victim.record.name} ${victimLive === 1 ? `has the fewest regions (${victim.pd.regionCount})` : "does not serve"}`,
        proof: arithmetic,
        undo: "raise stores.replicas: the drain is cancelled",
      },
    ],
    blocked: [],
  };
}

/** What does not serve goes first. */
function rank({ verdict }: JudgedStore): number {
  return verdict.kind === "live" ? 1 : 0;
}
