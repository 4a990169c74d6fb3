import type { RheaCluster } from "./gen/rhea-cluster.js";

/** Fields that only Kubernetes gives a meaning to, as paths below `spec`. */
export const KUBERNETES_FIELDS: readonly string[] = [
  "version",
  "image",
  "imagePullPolicy",
  "imagePullSecrets",
  "pd.storage",
  "pd.resources",
  "pd.topologyKeys",
  "pd.nodeSelector",
  "pd.tolerations",
  "stores.storage.className",
  "stores.logStorage",
  "stores.resources",
  "stores.topologyKeys",
  "stores.nodeSelector",
  "stores.tolerations",
  "deletionPolicy",
  "tls",
  "networkPolicy",
];

/**
 * Returns the fields of a cluster that are accepted and have no effect on local processes, such as `stores.resources`, so that a user is
 * told. Empty if there are none.
 */
export function fieldsWithoutLocalEffect(cluster: RheaCluster): readonly string[] {
  return KUBERNETES_FIELDS.filter((path) => isSet(cluster.spec, path));
}

function isSet(spec: unknown, path: string): boolean {
  let value = spec;
  for (const key of path.split(".")) {
    if (typeof value !== "object" || value === null) return false;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value !== undefined;
}
