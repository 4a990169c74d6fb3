import { NOTHING, act, blocked, joinParts, type PlanPart } from "./action.js";
import { answers, isMember, isServing, type Context } from "./judge.js";
import { outdatedOf } from "./member-facts.js";
import type { PdView } from "./observed.js";
import { planPdRollout } from "./pd-rollout.js";
import { isRegistered, type RegisteredStore } from "./victim.js";

/** The lease under which a store leads nothing while it is restarted. */
export const LEASE_MS = 60_000;
/** A lease with less left than this is renewed. */
export const RENEW_BELOW_MS = 20_000;
/** A store is restarted with leaders still on it when they have not left for this long. */
const PATIENCE_MS = 30_000;
/** A lease on a store whose run is younger than this is the rollout's own. */
const RECENT_RUN_MS = 600_000;

/**
 * Restarts what runs with outdated settings: what does not serve anyway first, at once; then PD; then one store at a time: its leaders leave under a
 * lease, it restarts, PD hears it and every region is at full health, the lease is released, the next. Nothing of it is remembered: where a
 * rollout stands is read off leases, settings and health, so that it goes on after the operator, and a change of mind converges.
 */
export function planRollout(context: Context): PlanPart {
  const broken = restartBroken(context);
  const pds = planPdRollout(context);
  if (pds !== NOTHING) return joinParts(broken, pds);
  return joinParts(broken, rollStores(context));
}

/** Restarts, with the settings of now, what has others and does not run with them: nobody's quorum counts it. */
function restartBroken({ stores, pds }: Context): PlanPart {
  const kept = [
    ...pds.filter(({ verdict }) => verdict.kind === "pending" || verdict.kind === "down" || verdict.kind === "dead"),
    ...stores.filter(({ verdict }) => verdict.kind !== "removed"),
  ];
  return joinParts(
    ...kept.map(({ record: { name, process } }) => {
      const outdated = outdatedOf(process);
      const isStuck = process.kind === "pending" || (process.kind === "exited" && process.restartsByItself === true);
      if (!isStuck || outdated === undefined) return NOTHING;
      return act({
        kind: "restartProcess",
        name,
        reason: `it does not run, and its settings are outdated: ${outdated}`,
        proof: "it does not run, so nothing is lost by it",
        undo: "change the settings back: it is restarted once more",
      });
    }),
  );
}

function rollStores(context: Context): PlanPart {
  const { view, stores, now } = context;
  if (view === undefined) return NOTHING;
  const members = stores
    .filter((store) => isMember(store) && store.record.directory !== "terminating") // its volume would go with it
    .filter(isRegistered);
  const isOutdated = ({ record: { process } }: RegisteredStore) =>
    process.kind === "running" && outdatedOf(process) !== undefined;
  const isUnderWay = (store: RegisteredStore) => {
    const { process, host } = store.record;
    if (store.pd.evictLeadersMsLeft === 0 || host?.isCordoned === true) return false;
    return isOutdated(store) || process.kind !== "running" || now - process.sinceMs < RECENT_RUN_MS;
  };
  const underWay = members.filter(isUnderWay);
  const current = underWay.find((store) => !isOutdated(store)) ?? underWay[0] ?? members.find(isOutdated);
  if (current === undefined) return NOTHING;
  const rest = members.filter((store) => store !== current && isOutdated(store)).length;
  const obstacle = obstacleOf(context, view, current);
  if (isOutdated(current)) return takeDown(context, view, current, obstacle, rest);
  if (obstacle === undefined && current.verdict.kind === "live" && !isShort(view, current)) {
    return act({
      kind: "releaseLeaders",
      name: current.record.name,
      storeId: current.pd.storeId,
      reason: "it serves again with its new settings",
      proof: `PD hears it and all ${view.regions.length} regions have their full number of healthy peers`,
      undo: "none needed: the lease would end by itself",
    });
  }
  return joinParts(renew(current), haltedBy(current, rest));
}

/** Moves the leaders off a store and then restarts it. */
function takeDown(
  context: Context,
  view: PdView,
  { record, pd }: RegisteredStore,
  obstacle: string | undefined,
  rest: number,
): PlanPart {
  const { name, process } = record;
  const changed = outdatedOf(process) ?? "";
  const lease = pd.evictLeadersMsLeft;
  if (obstacle !== undefined) {
    return blocked(name, `the change of ${changed} waits: ${obstacle}`, { isWaiting: context.stores.some(isMending) });
  }
  const health = `all other stores serve and all ${view.regions.length} regions have their full number of healthy peers`;
  const isLed = context.stores.some(
    (other) => other.record.name !== name && isServing(other) && other.pd?.evictLeadersMsLeft === 0,
  );
  const canBeLed =
    isLed &&
    view.regions.some(
      ({ peers }) =>
        peers.some(({ storeId }) => storeId === pd.storeId) &&
        peers.some(({ storeId, isVoter }) => isVoter && storeId !== pd.storeId),
    );
  if (lease === 0 && canBeLed) {
    return act({
      kind: "evictLeaders",
      name,
      storeId: pd.storeId,
      ttlMs: LEASE_MS,
      reason: `settings changed: ${changed}; it is restarted when it leads nothing, ${rest} more after it`,
      proof: health,
      undo: "change the settings back: the lease ends by itself",
    });
  }
  const hasWaited = lease <= LEASE_MS - PATIENCE_MS;
  if (canBeLed && pd.leaderCount > 0 && !hasWaited) {
    return blocked(name, `it is restarted when its leaders have left: ${pd.leaderCount} are there`, {
      isWaiting: true,
    });
  }
  return act({
    kind: "restartProcess",
    name,
    reason: `settings changed: ${changed}`,
    proof: `${health}; it leads ${pd.leaderCount} regions`,
    undo: "change the settings back: it is restarted once more",
  });
}

function renew({ record, pd }: RegisteredStore): PlanPart {
  if (pd.evictLeadersMsLeft >= RENEW_BELOW_MS) return NOTHING;
  return act({
    kind: "evictLeaders",
    name: record.name,
    storeId: pd.storeId,
    ttlMs: LEASE_MS,
    reason: "it is being restarted: it leads nothing until it serves again",
    proof: "the other voters of its regions can lead",
    undo: "none needed: the lease ends by itself",
  });
}

/** Says what stops the rollout at a store that was restarted. */
function haltedBy({ record: { name }, verdict }: RegisteredStore, rest: number): PlanPart {
  const more = rest === 0 ? "" : `; ${rest} more stores wait for it`;
  switch (verdict.kind) {
    case "pending":
    case "down":
    case "silent":
      return blocked(name, `the rollout stands still: ${verdict.why}${more}; change the settings back or mend them`);
    case "live":
      return blocked(name, `its peers are catching up${more}`, { isWaiting: true });
    default:
      return blocked(name, `it is starting with its new settings${more}`, { isWaiting: true });
  }
}

/** Why a store must not be restarted now: something is below full health because of others. */
function obstacleOf({ stores }: Context, view: PdView, current: RegisteredStore): string | undefined {
  const others = stores.filter(
    ({ record, verdict }) => record.name !== current.record.name && verdict.kind !== "removed",
  );
  const unwell = others.filter((store) => !answers(store));
  const isLagging = others.some(({ pd }) => pd !== undefined && pd.pendingPeerCount > 0);
  const short = view.regions.filter((region) => {
    if (region.isFullyReplicated) return false;
    const isOwn = region.peers.some(({ storeId }) => storeId === current.pd.storeId);
    const voters = region.peers.filter(({ isVoter }) => isVoter).length;
    const isWhole = voters === region.peers.length && voters >= view.config.replicas;
    const downElsewhere = region.downPeerIds.some(
      (peerId) => region.peers.find((peer) => peer.peerId === peerId)?.storeId !== current.pd.storeId,
    );
    const hasOwnCause =
      current.verdict.kind !== "live" || current.pd.pendingPeerCount > 0 || region.downPeerIds.length > 0;
    return !isOwn || !isWhole || downElsewhere || isLagging || !hasOwnCause;
  });
  if (unwell.length + short.length === 0) return undefined;
  const names = unwell.map(({ record }) => record.name).join(", ");
  const notServing = unwell.length === 0 ? "" : ` (${names})`;
  return `${unwell.length} other stores do not serve${notServing}, ${short.length} of ${view.regions.length} regions are below full health because of others`;
}

function isShort({ regions }: PdView, { pd }: RegisteredStore): boolean {
  return regions.some(
    ({ isFullyReplicated, peers }) => !isFullyReplicated && peers.some(({ storeId }) => storeId === pd.storeId),
  );
}

/** Whether somebody is at work on what stands in the way. */
function isMending({ verdict }: Context["stores"][number]): boolean {
  return verdict.kind === "starting" || verdict.kind === "draining" || verdict.kind === "live";
}
