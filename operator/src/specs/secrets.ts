import type { Secret } from "../kube/index.js";
import { metadataOf, serviceAddress, type ClusterIdentity, type Component } from "./identity.js";

/** Builds a secret of a cluster from plain text. */
export function buildSecret(
  cluster: ClusterIdentity,
  name: string,
  data: Readonly<Record<string, string>>,
  options: {
    readonly annotations?: Readonly<Record<string, string>>;
    readonly component?: Component;
    readonly member?: string;
  } = {},
): Secret {
  const metadata = metadataOf(cluster, name, options.component, options.member);
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: options.annotations === undefined ? metadata : { ...metadata, annotations: { ...options.annotations } },
    type: "Opaque",
    data: Object.fromEntries(
      Object.entries(data).map(([key, text]) => [key, Buffer.from(text, "utf8").toString("base64")]),
    ),
  };
}

/**
 * Returns what applications mount besides certificates: `addresses` of PD for the client library, and the `cluster.json` that `rheactl`
 * reads, whose file names are those beside it.
 */
export function clientFiles(cluster: ClusterIdentity, hasTls: boolean): Readonly<Record<string, string>> {
  const pd = [serviceAddress(cluster, "pd")];
  const file = {
    clusterId: cluster.clusterId,
    pd,
    stores: [serviceAddress(cluster, "store")],
    name: cluster.name,
    ...(hasTls ? { tls: { caFile: "ca.crt", certFile: "tls.crt", keyFile: "tls.key" } } : {}),
  };
  return { addresses: pd.join(","), clusterId: String(cluster.clusterId), "cluster.json": `${JSON.stringify(file)}\n` };
}
