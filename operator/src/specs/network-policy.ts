import type { NetworkPolicy } from "../kube/index.js";
import { CLUSTER_LABEL, PORTS, metadataOf, selectorOf, type ClusterIdentity } from "./identity.js";

/**
 * Builds the policy of what may reach a cluster's pods: its own pods and the operator everywhere, clients at the ports of PD and the
 * stores, everybody at the status ports (probes, metrics; they change nothing).
 *
 * @param clientNamespaceLabels labels of the namespaces whose pods are clients; absent: all namespaces
 */
export function buildNetworkPolicy(
  cluster: ClusterIdentity,
  clientNamespaceLabels: Readonly<Record<string, string>> | undefined,
): NetworkPolicy {
  const tcp = (port: number) => ({ protocol: "TCP", port });
  const clientPorts = [tcp(PORTS.pd), tcp(PORTS.store)];
  const namespaces = clientNamespaceLabels === undefined ? {} : { matchLabels: { ...clientNamespaceLabels } };
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: metadataOf(cluster, cluster.name),
    spec: {
      podSelector: { matchLabels: selectorOf(cluster) },
      policyTypes: ["Ingress"],
      ingress: [
        {
          from: [
            { podSelector: { matchLabels: { [CLUSTER_LABEL]: cluster.name } } },
            {
              namespaceSelector: {},
              podSelector: { matchLabels: { "app.kubernetes.io/name": "rhea-operator" } },
            },
          ],
          ports: clientPorts,
        },
        { from: [{ namespaceSelector: namespaces }], ports: clientPorts },
        { ports: [tcp(PORTS.pdStatus), tcp(PORTS.storeStatus)] },
      ],
    },
  };
}
