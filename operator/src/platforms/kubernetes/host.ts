import type { Node, PersistentVolumeClaim, Pod } from "../../kube/index.js";
import type { Host } from "../../plan/index.js";
import type { Caches } from "./deps.js";

const HOSTNAME = "kubernetes.io/hostname";

/** Finds the node that a process runs on or, without a scheduled pod, the one that its volumes are tied to. */
export function hostOf(
  pod: Pod | undefined,
  claims: readonly PersistentVolumeClaim[],
  { nodes, persistentvolumes }: Pick<Caches, "nodes" | "persistentvolumes">,
): Host | undefined {
  const nodeName = pod?.spec?.nodeName;
  if (nodeName !== undefined && nodeName !== "") return describeNode(nodeName, nodes.store.get(nodeName));
  for (const claim of claims) {
    const volume = persistentvolumes.store.get(claim.spec?.volumeName ?? "");
    const terms = volume?.spec?.nodeAffinity?.required?.nodeSelectorTerms ?? [];
    const names = terms.flatMap(({ matchExpressions = [] }) =>
      matchExpressions.flatMap(({ key, operator, values = [] }) =>
        key === HOSTNAME && operator === "In" ? values : [],
      ),
    );
    if (names.length === 0) continue; // tied to no single node
    const hosts = names.map((name) => describeNode(name, nodeOfHost(name, nodes.store)));
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

function describeNode(name: string, node: Node | undefined): Host {
  if (node === undefined) return { name, state: "gone", isCordoned: false, labels: {} };
  const isReady = node.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
  return {
    name: node.metadata?.name ?? name,
    state: isReady ? "ready" : "notReady",
    isCordoned: node.spec?.unschedulable === true,
    labels: node.metadata?.labels ?? {},
  };
}
