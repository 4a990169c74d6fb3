import type { Node, PersistentVolumeClaim, Pod } from "../../kube/index.js";
import type { Host } from "../../plan/index.js";
import type { Caches } from "./deps.js";
import type { Times } from "./times.js";

const HOSTNAME = "kubernetes.io/hostname";

/** What is known of nodes. */
export interface NodeSources {
  readonly caches: Pick<Caches, "nodes" | "persistentvolumes">;
  readonly times: Times;
  /** When each node was first seen to be gone, by name; kept up to date here. */
  readonly goneNodes: Map<string, number>;
}

/** Finds the node that a process runs on or, without a scheduled pod, the one that its volumes are tied to. */
export function hostOf(
  pod: Pod | undefined,
  claims: readonly PersistentVolumeClaim[],
  sources: NodeSources,
): Host | undefined {
  const { nodes, persistentvolumes } = sources.caches;
  const nodeName = pod?.spec?.nodeName;
  if (nodeName !== undefined && nodeName !== "") return describeNode(nodeName, nodes.store.get(nodeName), sources);
  for (const claim of claims) {
    const volume = persistentvolumes.store.get(claim.spec?.volumeName ?? "");
    const terms = volume?.spec?.nodeAffinity?.required?.nodeSelectorTerms ?? [];
    const names = terms.flatMap(({ matchExpressions = [] }) =>
      matchExpressions.flatMap(({ key, operator, values = [] }) =>
        key === HOSTNAME && operator === "In" ? values : [],
      ),
    );
    if (names.length === 0) continue; // tied to no single node
    const hosts = names.map((name) => describeNode(name, nodeOfHost(name, nodes.store), sources));
    return hosts.find(({ state }) => state === "ready") ?? hosts[0];
  }
  return undefined;
}

/** A node's name and its host name label need not be the same. */
function nodeOfHost(hostname: string, nodes: ReadonlyMap<string, Node>): Node | undefined {
  const named = nodes.get(hostname);
  if (named?.metadata?.labels?.[HOSTNAME] === hostname) return named;
  return [...nodes.values()].find(({ metadata }) => metadata?.labels?.[HOSTNAME] === hostname) ?? named;
}

function describeNode(name: string, node: Node | undefined, { times, goneNodes }: NodeSources): Host {
  if (node === undefined) {
    const sinceMs = goneNodes.get(name) ?? times.nowMs;
    goneNodes.set(name, sinceMs);
    return { name, state: "gone", sinceMs, isCordoned: false, labels: {} };
  }
  goneNodes.delete(name);
  const ready = node.status?.conditions?.find(({ type }) => type === "Ready");
  const isReady = ready?.status === "True";
  return {
    name: node.metadata?.name ?? name,
    state: isReady ? "ready" : "notReady",
    ...(isReady ? {} : { sinceMs: times.since(ready?.lastTransitionTime) ?? times.nowMs }),
    isCordoned: node.spec?.unschedulable === true,
    labels: node.metadata?.labels ?? {},
  };
}
