/** Events of Kubernetes about what the operator does and what it holds back. */
import type { KubeObject } from "../../kube/index.js";
import { describeStep, type Action, type Blocked } from "../../plan/index.js";
import { API_VERSION } from "../../api/index.js";
import type { ClusterObjects } from "./cluster-objects.js";
import type { ClusterMemory, PlatformDeps } from "./deps.js";

/** A wait that is shorter is not worth an event. */
const TELL_AFTER_MS = 10_000;

type Deps = Pick<PlatformDeps, "events" | "logger">;

/** Records what was done, unless the pass before did the same. */
export function tellActions(
  { events, logger }: Deps,
  objects: ClusterObjects,
  actions: readonly Action[],
  memory: ClusterMemory,
): void {
  const now = new Set<string>();
  for (const action of actions) {
    const what = describeStep(action);
    now.add(what);
    if (memory.lastActions.has(what)) continue;
    const note = `${what}: ${action.reason} (${action.proof})`;
    const kind = `${action.kind[0]?.toUpperCase() ?? ""}${action.kind.slice(1)}`;
    logger.log("info", note, { cluster: objects.key });
    events.record({ regarding: regarding(objects), type: "Normal", reason: kind, action: kind, note });
  }
  memory.lastActions = now;
}

/** Records what is held back, once it has been for a while: most waits are part of the way. */
export function tellBlocked(
  { events, logger }: Deps,
  objects: ClusterObjects,
  blocked: readonly Blocked[],
  memory: ClusterMemory,
  nowMs: number,
): void {
  const held = new Map<string, { readonly sinceMs: number; readonly isTold: boolean }>();
  for (const { object, reason } of blocked) {
    const shape = `${object}: ${reason.replace(/\d+(\.\d+)?/g, "0")}`;
    const { sinceMs, isTold } = memory.held.get(shape) ?? { sinceMs: nowMs, isTold: false };
    const isDue = !isTold && nowMs - sinceMs >= TELL_AFTER_MS;
    held.set(shape, { sinceMs, isTold: isTold || isDue });
    if (!isDue) continue;
    const note = `${object}: ${reason}`;
    logger.log("info", "held back", { cluster: objects.key, what: note });
    events.record({ regarding: regarding(objects), type: "Warning", reason: "Blocked", action: "Plan", note });
  }
  memory.held = held;
}

/** Objects from lists do not say what they are. */
function regarding({ object, identity }: ClusterObjects): KubeObject {
  const { name, namespace, uid } = identity;
  const resourceVersion = object.metadata?.resourceVersion;
  return {
    apiVersion: API_VERSION,
    kind: "RheaCluster",
    metadata: { name, namespace, uid, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
  };
}
