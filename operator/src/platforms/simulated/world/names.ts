/** Fixed names of every world. */
import type { ObjectKey } from "../../../kube/index.js";

/** Namespace of the cluster. */
export const NAMESPACE = "ns";
/** The one cluster of each world. */
export const CLUSTER = { namespace: NAMESPACE, name: "demo" } as const satisfies ObjectKey;
/** Namespace of the operators' lease. */
export const SYSTEM = "rhea-system";
