/** Keeps the objects that follow from the RheaCluster alone: services, budgets, network policy. Writes only what differs. */
import { RESOURCES, type KubeObject, type Resource } from "../../kube/index.js";
import type { Observed, Plan } from "../../plan/index.js";
import { buildDisruptionBudget, buildNetworkPolicy, buildService } from "../../specs/index.js";
import type { ClusterObjects } from "./cluster-objects.js";
import type { Caches } from "./deps.js";
import { isSubset } from "./subset.js";
import type { Writer } from "./writer.js";

/** Makes the live objects say what they should. */
export async function syncObjects(
  caches: Caches,
  { identity, desired }: ClusterObjects,
  observed: Observed,
  { disruptions }: Pick<Plan, "disruptions">,
  writer: Writer,
): Promise<void> {
  await keep(caches.services.store, RESOURCES.services, buildService(identity, "pd", observed.nextPdOrdinal), writer);
  await keep(caches.services.store, RESOURCES.services, buildService(identity, "store", observed.nextOrdinal), writer);
  const budgets = caches.poddisruptionbudgets.store;
  const { pdMinAvailable, storesMinAvailable } = disruptions;
  await keep(budgets, RESOURCES.podDisruptionBudgets, buildDisruptionBudget(identity, "pd", pdMinAvailable), writer);
  await keep(
    budgets,
    RESOURCES.podDisruptionBudgets,
    buildDisruptionBudget(identity, "store", storesMinAvailable),
    writer,
  );
  const policy = buildNetworkPolicy(identity, desired.networkPolicy.clientNamespaceLabels);
  const live = caches.networkpolicies.store.get(`${identity.namespace}/${identity.name}`);
  if (desired.networkPolicy.isEnabled)
    await keep(caches.networkpolicies.store, RESOURCES.networkPolicies, policy, writer);
  else if (live !== undefined) await writer.remove(RESOURCES.networkPolicies, live);
}

/** Applies an object if the live one lacks or contradicts anything of it. */
export async function keep<T extends KubeObject>(
  store: ReadonlyMap<string, T>,
  resource: Resource<T>,
  wanted: NoInfer<T>,
  writer: Writer,
): Promise<void> {
  const live = store.get(`${wanted.metadata?.namespace ?? ""}/${wanted.metadata?.name ?? ""}`);
  if (live?.metadata?.deletionTimestamp !== undefined) return; // made again when it is gone
  if (live === undefined || !saysAll(wanted, live)) await writer.apply(resource, wanted);
}

function saysAll(wanted: KubeObject, live: KubeObject): boolean {
  const { apiVersion: _version, kind: _kind, ...rest } = wanted; // lists leave these out
  return isSubset(rest, live);
}
