import { NOTHING, joinParts, type Action, type Blocked, type PlanPart } from "./action.js";
import { isMember, isServing, neverRegistered, type Context, type JudgedStore } from "./judge.js";
import { hostLossOf, seconds } from "./member-facts.js";
import type { MemberRecord, PdOperation, PdRegion, PdView } from "./observed.js";
import { REPORT_FRESH_MS, isFresh, quorumOf } from "./region-quorum.js";
import { compareOrders, isRegistered, type RegisteredStore } from "./victim.js";

/** After a failed operation a region is left alone for this long. */
const RETRY_AFTER_MS = 5_000;

/**
 * Heals what dead stores leave behind: PD learns of a lost disk, each region's dead peer is replaced by one on a live store through
 * PD's replace-peer, and a dead store with nothing left on it becomes a tombstone and is deleted. New stores are the business of
 * {@link planScale}: a dead store does not count as a member.
 */
export function planReplacement(context: Context): PlanPart {
  const { view } = context;
  if (view === undefined) return NOTHING;
  const { taken, left } = deadStores(context);
  return joinParts(
    ...taken.map((store) => reportLoss(store)),
    replacePeers(context, view, taken),
    ...taken.map((store) => retire(store, context, view)),
    {
      actions: [],
      blocked: left.map(({ record, verdict }) => ({
        object: record.name,
        reason: `dead (${verdict.kind === "dead" ? verdict.why : ""}), and not replaced: failover.maxReplacements is ${context.desired.maxReplacements}`,
      })),
    },
    ...context.stores.filter(({ verdict }) => verdict.kind === "removed").map(deleteRemoved),
  );
}

/**
 * The dead stores that may be under replacement now, and those beyond `failover.maxReplacements`: what has begun goes on, then come lost disks.
 * Empty ones do not count.
 */
export function deadStores({ stores, desired, view }: Context): {
  readonly taken: readonly JudgedStore[];
  readonly left: readonly JudgedStore[];
} {
  const begun = new Set(
    view?.operations.filter((operation) => operation.isRunning && isReplacement(operation)).map((o) => o.fromStoreId),
  );
  const orderOf = ({ verdict, pd, record }: JudgedStore) => [
    begun.has(pd?.storeId ?? 0) ? 0 : 1,
    verdict.kind === "dead" && verdict.isDiskLost ? 0 : 1,
    record.ordinal,
  ];
  const dead = stores
    .filter(({ verdict }) => verdict.kind === "dead")
    .sort((a, b) => compareOrders(orderOf(a), orderOf(b)));
  if (desired.maxReplacements === 0) return { taken: [], left: dead };
  // One that holds nothing needs no repair, and must not stand in the way of one: most likely it was to be a replacement itself.
  const empty = dead.filter(holdsNothing);
  const full = dead.filter((store) => !holdsNothing(store));
  return {
    taken: [...empty, ...full.slice(0, desired.maxReplacements)],
    left: full.slice(desired.maxReplacements),
  };
}

function isReplacement({ kind, origin }: PdOperation): boolean {
  return kind === "replace-peer" && origin === "operator";
}

function holdsNothing({ pd }: JudgedStore): boolean {
  return pd === undefined || pd.regionCount === 0;
}

function reportLoss({ record, pd, verdict }: JudgedStore): PlanPart {
  if (verdict.kind !== "dead" || !verdict.isDiskLost || pd === undefined || pd.diskLost) return NOTHING;
  return {
    actions: [
      {
        kind: "reportDiskLost",
        name: record.name,
        storeId: pd.storeId,
        reason: verdict.why,
        proof: "a store without its identity has lost its votes and must never serve under this id again",
        undo: "none: the id is given up for ever",
      },
    ],
    blocked: [],
  };
}

function replacePeers(context: Context, view: PdView, dead: readonly JudgedStore[]): PlanPart {
  const actions: Action[] = [];
  const blocked: Blocked[] = [];
  const fromIds = new Map(dead.flatMap(({ pd, record }) => (pd === undefined ? [] : [[pd.storeId, record.name]])));
  const running = view.operations.filter(({ isRunning }) => isRunning);
  let budget = context.desired.operationLimit - running.filter(isReplacement).length;
  const planned = new Map<number, number>();
  for (const region of view.regions) {
    const lost = region.peers.find(({ storeId }) => fromIds.has(storeId));
    if (lost === undefined) continue;
    if (running.some(({ regionId }) => regionId === region.regionId)) continue;
    if (recentlyFailed(view, region)) continue;
    const object = `region ${region.regionId}`;
    const fromName = fromIds.get(lost.storeId) ?? "";
    const unsafe = refuse(context, view, region);
    if (unsafe !== undefined) {
      blocked.push({ object, reason: `its peer on ${fromName} is not replaced: ${unsafe.reason}` });
      continue;
    }
    const target = targetFor(context, region, planned);
    if (target === undefined) {
      const live = context.stores.filter(({ verdict }) => verdict.kind === "live").length;
      blocked.push({
        object,
        reason: `its peer on ${fromName} waits for a store to move to: every one of the ${live} live stores already has a peer of it`,
      });
      continue;
    }
    if (budget <= 0) continue; // others run; the next look takes this one
    budget--;
    planned.set(target.pd.storeId, (planned.get(target.pd.storeId) ?? 0) + 1);
    actions.push({
      kind: "replacePeer",
      regionId: region.regionId,
      fromStoreId: lost.storeId,
      toStoreId: target.pd.storeId,
      fromName,
      toName: target.record.name,
      reason: `${fromName} is dead`,
      proof: quorumOf(context, region).text,
      undo: "cancel the operation; a peer that was added is removed as surplus",
    });
  }
  return { actions, blocked };
}

function recentlyFailed(view: PdView, { regionId }: PdRegion): boolean {
  return view.operations.some(
    (operation) =>
      operation.regionId === regionId &&
      operation.kind === "replace-peer" &&
      !operation.isRunning &&
      !operation.succeeded &&
      operation.finishedMsAgo + view.ageMs < RETRY_AFTER_MS,
  );
}

/** Why a region's membership must not be touched now. */
function refuse(context: Context, view: PdView, region: PdRegion): { readonly reason: string } | undefined {
  if (!isFresh(region, view)) return { reason: `its last report is older than ${seconds(REPORT_FRESH_MS)}` };
  const quorum = quorumOf(context, region);
  return quorum.holds ? undefined : { reason: quorum.text };
}

/**
 * The live store without a peer of the region: not on a cordoned host if there is another, in the domains with the fewest peers
 * of it, with the fewest regions, those planned just now included.
 */
function targetFor(
  { stores, desired }: Context,
  region: PdRegion,
  planned: ReadonlyMap<number, number>,
): RegisteredStore | undefined {
  const taken = new Set(region.peers.map(({ storeId }) => storeId));
  const staying = stores.filter((store) => isServing(store) && store.pd !== undefined && taken.has(store.pd.storeId));
  const load = ({ pd }: RegisteredStore) => pd.regionCount + (planned.get(pd.storeId) ?? 0);
  const candidates = stores
    .filter(isRegistered)
    .filter((store) => isServing(store) && isMember(store) && !taken.has(store.pd.storeId));
  const orderOf = (store: RegisteredStore) => [
    store.record.host?.isCordoned === true ? 1 : 0,
    ...desired.storePod.topologyKeys.map(
      (key) => staying.filter(({ record }) => isSameDomain(record, store.record, key)).length,
    ),
    load(store),
    -store.record.ordinal,
  ];
  return candidates.sort((a, b) => compareOrders(orderOf(a), orderOf(b)))[0];
}

function isSameDomain({ host: a }: MemberRecord, { host: b }: MemberRecord, topologyKey: string): boolean {
  const domain = a?.labels[topologyKey];
  return domain !== undefined && domain === b?.labels[topologyKey];
}

/** Turns a dead store that nothing is left on into a tombstone; one that PD never knew is simply deleted. */
function retire(store: JudgedStore, context: Context, view: PdView): PlanPart {
  const { record, pd, verdict } = store;
  if (verdict.kind !== "dead") return NOTHING;
  if (pd === undefined) {
    if (!neverRegistered(store, context)) return NOTHING;
    return deletion(record.name, `dead: ${verdict.why}`, "PD has never known it, so no region has a peer on it");
  }
  const left = view.regions.filter(({ peers }) => peers.some(({ storeId }) => storeId === pd.storeId)).length;
  if (left > 0 || pd.regionCount > 0) return NOTHING;
  return {
    actions: [
      {
        kind: "removeStore",
        name: record.name,
        storeId: pd.storeId,
        force: true,
        reason: `dead: ${verdict.why}`,
        proof: `0 of ${view.regions.length} regions have a peer on it`,
        undo: "none: it has been replaced",
      },
    ],
    blocked: [],
  };
}

function deleteRemoved({ record, pd }: JudgedStore): PlanPart {
  const { process } = record;
  if (process.kind === "running") return NOTHING;
  if (process.kind === "stopping" && hostLossOf(record) === undefined) return NOTHING; // on a lost host it would stop for ever
  return deletion(record.name, "it has left the cluster", `PD has store ${pd?.storeId ?? 0} as a tombstone`);
}

/** The deletion of a store's data. */
export function deletion(name: string, reason: string, proof: string): PlanPart {
  return { actions: [{ kind: "deleteStore", name, reason, proof, undo: "none" }], blocked: [] };
}
