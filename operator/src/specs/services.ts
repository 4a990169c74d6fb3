import type { Service } from "../kube/index.js";
import {
  NEXT_ORDINAL_ANNOTATION,
  PORTS,
  metadataOf,
  selectorOf,
  serviceName,
  type ClusterIdentity,
  type Component,
} from "./identity.js";

/**
 * Builds the headless service that gives the pods of a component their names. Pods that are not ready have names too: PD members must find
 * each other to become ready, and a store that recovers is told so by its peers.
 *
 * @param nextOrdinal remembered as an annotation: ordinals are never given out twice
 */
export function buildService(cluster: ClusterIdentity, component: Component, nextOrdinal: number): Service {
  const metadata = metadataOf(cluster, serviceName(cluster, component), component);
  const port = (name: string, number: number) => ({ name, port: number, targetPort: number, protocol: "TCP" });
  const isPd = component === "pd";
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { ...metadata, annotations: { [NEXT_ORDINAL_ANNOTATION]: String(nextOrdinal) } },
    spec: {
      type: "ClusterIP",
      clusterIP: "None",
      publishNotReadyAddresses: true,
      selector: selectorOf(cluster, component),
      ports: [port("grpc", isPd ? PORTS.pd : PORTS.store), port("status", isPd ? PORTS.pdStatus : PORTS.storeStatus)],
    },
  };
}
