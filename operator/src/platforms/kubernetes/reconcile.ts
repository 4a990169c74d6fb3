/** One pass over one cluster: look, plan, keep the objects, do the actions, tell. Level-based: what an earlier pass did is seen, not remembered. */
import { RheaError } from "@rhea/common";
import { describeStep, plan, type Action, type Blocked, type Observed, type Plan } from "../../plan/index.js";
import { keepCertificates, type CertificatesState } from "./certificates.js";
import { gatherObjects, type ClusterObjects } from "./cluster-objects.js";
import {
  CLUSTERS,
  STORES,
  memoryOf,
  type Caches,
  type ClusterMemory,
  type PdCalls,
  type PlatformDeps,
  type RheaClusterObject,
} from "./deps.js";
import { tellActions, tellBlocked } from "./events.js";
import { asksPd, execute, type ExecuteContext } from "./execute.js";
import { findHiddenClaims } from "./missing-claims.js";
import { observe } from "./observe.js";
import { dropPd, pdCalls, pollPd } from "./pd-connection.js";
import { needsWrite, rememberWrite } from "./status-writer.js";
import { clusterStatus, storeStatus } from "./status.js";
import { syncLabels } from "./sync-labels.js";
import { syncMembers } from "./sync-members.js";
import { syncObjects } from "./sync-objects.js";
import { takeTime, type Times } from "./times.js";
import { createWriter, type Writer } from "./writer.js";

/** Time to the next look at PD, which tells nobody when something changes. Kubernetes does. */
const BUSY_MS = 1_000;
const SETTLED_MS = 10_000;
/** What was seen longer ago than this is not acted upon. */
const MAX_PASS_MS = 5_000;

/**
 * Brings a cluster one step nearer to what is wanted.
 *
 * @param key `namespace/name` of the RheaCluster
 * @returns when to look again if nothing changes; absent: never
 * @throws {RheaError} what the API server answered, where nothing else can be done in this pass
 */
export async function reconcileCluster(
  deps: PlatformDeps,
  key: string,
  signal?: AbortSignal,
): Promise<{ readonly requeueAfterMs?: number }> {
  const { caches, expectations, clock } = deps;
  const seen = liveCluster(caches, key);
  if (seen === undefined) {
    forgetCluster(deps, key);
    return {}; // what it owned goes with it; nothing of ours holds it back
  }
  const state = expectations.satisfied(key, Object.values(caches));
  if (state.kind === "waiting") return { requeueAfterMs: Math.min(state.retryAfterMs, BUSY_MS) };

  const before = gatherObjects(key, seen, caches, deps.settings);
  const memory = memoryOf(deps.memory, key, before.identity.uid);
  const view = await pollPd(deps, before, memory);
  const object = liveCluster(caches, key); // PD took its time: look again at what is free to read
  if (object?.metadata?.uid !== before.identity.uid) return { requeueAfterMs: 0 };
  const times = takeTime(clock);
  const objects = gatherObjects(key, object, caches, deps.settings);
  const observed = observe(deps, objects, memory, view, times);
  const writer = createWriter(deps, key, signal);
  const decided = plan(observed, objects.desired, times.nowMs);
  if (decided.mode === "Reconcile" && (await findHiddenClaims(deps, objects, observed, writer)))
    return { requeueAfterMs: BUSY_MS };
  let outcome: Outcome;
  try {
    outcome = await act(deps, objects, observed, decided, memory, writer, times);
  } catch (error) {
    if (isNamespaceEnding(error)) return { requeueAfterMs: SETTLED_MS }; // all of this goes with it
    throw error;
  }
  const { failures } = outcome;
  await writeStatus(deps, objects, observed, decided, outcome, memory, writer);
  const isReady = decided.status.conditions.some(({ type, status }) => type === "Ready" && status === "True");
  const isSettled = decided.actions.length === 0 && failures === 0 && (isReady || isAtRest(objects, decided));
  return { requeueAfterMs: isSettled ? SETTLED_MS : BUSY_MS };
}

function liveCluster({ rheaclusters }: Pick<Caches, "rheaclusters">, key: string): RheaClusterObject | undefined {
  const object = rheaclusters.store.get(key);
  return object?.metadata?.deletionTimestamp === undefined ? object : undefined;
}

/** Closes what is kept for a cluster that is gone. */
export function forgetCluster({ memory, expectations, metrics }: PlatformDeps, key: string): void {
  const known = memory.get(key);
  if (known !== undefined) dropPd(known);
  memory.delete(key);
  expectations.forget(key);
  const [namespace = "", name = ""] = key.split("/");
  metrics?.forget(namespace, name);
}

function isAtRest({ desired, pods }: ClusterObjects, { mode }: Plan): boolean {
  return mode !== "Reconcile" || (desired.suspend && pods.pd.size + pods.store.size === 0);
}

interface Outcome {
  readonly failures: number;
  readonly blocked: readonly Blocked[];
  readonly certificates: CertificatesState | undefined;
}

async function act(
  deps: PlatformDeps,
  objects: ClusterObjects,
  observed: Observed,
  decided: Plan,
  memory: ClusterMemory,
  writer: Writer,
  times: Times,
): Promise<Outcome> {
  const isAllowed = decided.mode === "Reconcile"; // else nothing but the status is written
  const { state, blocked } = await keepCertificates(
    ...([deps, objects, observed, decided.actions, memory, times] as const),
    isAllowed ? writer : undefined,
  );
  if (!isAllowed) return { failures: 0, blocked: [...decided.blocked, ...blocked], certificates: state };
  await syncObjects(deps.caches, objects, observed, decided, writer);
  const held = await syncMembers(deps.caches, objects, observed, writer);
  const pd = (): PdCalls => {
    memory.isViewOutdated = true;
    return pdCalls(deps, objects, memory);
  };
  const unlabelled = await syncLabels(observed, pd, deps.logger);
  const context: ExecuteContext = {
    deps,
    objects,
    observed,
    writer,
    isCurrent: () =>
      deps.clock.monotonicMs() - times.nowMs <= MAX_PASS_MS &&
      liveCluster(deps.caches, objects.key)?.metadata?.generation === objects.object.metadata?.generation,
    pd,
  };
  const failed = await executeAll(deps, context, decided.actions, memory);
  return {
    failures: failed.length,
    blocked: [...decided.blocked, ...blocked, ...held, ...unlabelled, ...failed],
    certificates: state,
  };
}

/**
 * Does all actions; one that fails does not stop those after it, for they concern other things. What brings processes up comes first: it
 * needs no PD, and PD may be what is brought up. When PD does not answer, no further call to it is tried in this pass.
 */
async function executeAll(
  deps: PlatformDeps,
  context: ExecuteContext,
  actions: readonly Action[],
  memory: ClusterMemory,
): Promise<readonly Blocked[]> {
  const { objects } = context;
  const failed: Blocked[] = [];
  const failures = new Map<string, string>();
  const done: Action[] = [];
  let isPdSilent = false;
  for (const action of [...actions.filter(starts), ...actions.filter((other) => !starts(other))]) {
    if (!context.isCurrent()) break; // a call has taken long, or the user has changed his mind: look again first
    if (isPdSilent && asksPd(action)) continue;
    try {
      await execute(context, action);
      done.push(action);
    } catch (thrown) {
      const { code, message } = RheaError.from(thrown);
      if (code === "CANCELLED" || isNamespaceEnding(thrown)) throw thrown;
      isPdSilent ||= asksPd(action) && (code === "DEADLINE_EXCEEDED" || code === "UNAVAILABLE");
      const what = describeStep(action);
      failures.set(what, message);
      failed.push({ object: objectOf(action), reason: `${what} failed: ${code}: ${message}` });
      if (memory.failures.get(what) !== message)
        deps.logger.log("warn", "action failed", { cluster: objects.key, action: what, code, error: message });
    }
  }
  memory.failures = failures;
  tellActions(deps, objects, done, memory);
  return failed;
}

/** In a namespace that is being deleted nothing can be made any more. */
function isNamespaceEnding(thrown: unknown): boolean {
  const { code, message } = RheaError.from(thrown);
  return code === "KUBE_FORBIDDEN" && message.includes("is being terminated");
}

function starts({ kind }: Action): boolean {
  return kind === "addPd" || kind === "startPd" || kind === "addStore" || kind === "startStore";
}

function objectOf(action: Action): string {
  if ("name" in action) return action.name;
  if (action.kind === "transferPdLeader") return action.toName;
  return action.kind === "replacePeer" ? `region ${action.regionId}` : "pd";
}

async function writeStatus(
  { clock, metrics, ...deps }: PlatformDeps,
  objects: ClusterObjects,
  observed: Observed,
  decided: Plan,
  { blocked, certificates }: Pick<Outcome, "blocked" | "certificates">,
  memory: ClusterMemory,
  writer: Writer,
): Promise<void> {
  const times = takeTime(clock);
  const { name, namespace } = objects.identity;
  for (const store of decided.status.stores) {
    const record = objects.records.get(store.name);
    const status = storeStatus(store, observed);
    const id = `store ${store.name} ${record?.metadata?.uid ?? ""}`;
    if (record === undefined || !needsWrite(memory, id, status, record.status, times.nowMs)) continue;
    await writer.applyStatus(STORES, { metadata: { name: store.name, namespace }, status });
    rememberWrite(memory, id, status, times.nowMs);
  }
  const status = clusterStatus({ objects, observed, plan: decided, blocked, certificates, times });
  tellBlocked(deps, objects, blocked, memory, times.nowMs);
  metrics?.show(namespace, name, {
    storesWanted: objects.desired.storeReplicas,
    ...{ status, certificates, wallMs: times.wallMs },
  });
  if (!needsWrite(memory, "cluster", status, objects.object.status, times.nowMs)) return;
  await writer.applyStatus(CLUSTERS, { metadata: { name, namespace }, status });
  rememberWrite(memory, "cluster", status, times.nowMs);
}
