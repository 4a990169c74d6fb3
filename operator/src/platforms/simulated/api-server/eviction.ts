/** What PodDisruptionBudgets say to an eviction. */
import { RESOURCES, type ObjectKey, type Pod } from "../../../kube/index.js";
import type { ApiServer } from "./api-server.js";

/** Why a pod may not be evicted now; undefined if it may. */
export function refuseEviction(server: ApiServer, key: ObjectKey): string | undefined {
  const pod = server.find(RESOURCES.pods, key);
  if (pod === undefined) return undefined;
  for (const { metadata, spec } of server.list(RESOURCES.podDisruptionBudgets)) {
    const labels = spec?.selector?.matchLabels ?? {};
    if (metadata?.namespace !== key.namespace || !isSelected(pod, labels)) continue;
    const all = server
      .list(RESOURCES.pods)
      .filter((each) => each.metadata?.namespace === key.namespace && isSelected(each, labels));
    const healthy = all.filter(isReady).length;
    const wanted = spec?.minAvailable ?? all.length - Number(spec?.maxUnavailable ?? 0);
    // unhealthyPodEvictionPolicy: AlwaysAllow
    if (isReady(pod) && healthy - 1 < Number(wanted)) {
      return `Cannot evict pod as it would violate the pod's disruption budget: ${healthy} healthy, ${wanted} wanted`;
    }
  }
  return undefined;
}

function isSelected({ metadata }: Pod, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(labels).every(([name, value]) => metadata?.labels?.[name] === value);
}

/** Whether a pod is ready and stays. */
function isReady({ metadata, status }: Pod): boolean {
  return (
    metadata?.deletionTimestamp === undefined &&
    status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") === true
  );
}
