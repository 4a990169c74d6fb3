/** The kinds that specs use, and where the API server has them. */

/** What every object has, and the fields that specs look at most. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly generation?: number;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly finalizers?: readonly string[];
  };
}

/** An object to apply. */
export interface Manifest extends KubeObject {
  readonly [field: string]: unknown;
}

/** A condition of a status. */
export interface Condition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason?: string;
  readonly message?: string;
  readonly observedGeneration?: number;
}

/** A pod, as far as specs look into it. */
export interface Pod extends KubeObject {
  readonly spec: { readonly nodeName?: string; readonly containers: readonly { name: string; image: string }[] };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly conditions?: readonly Condition[];
    readonly containerStatuses?: readonly {
      readonly name: string;
      readonly ready: boolean;
      readonly restartCount: number;
      readonly containerID?: string;
      readonly imageID?: string;
      readonly state?: {
        readonly running?: { readonly startedAt: string };
        readonly waiting?: { readonly reason: string; readonly message?: string };
        readonly terminated?: { readonly exitCode: number; readonly reason?: string; readonly message?: string };
      };
    }[];
  };
}

/** A secret. Values are in base64. */
export interface Secret extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

interface KindInfo {
  /** `api/v1` or `apis/GROUP/VERSION`. */
  readonly root: string;
  readonly plural: string;
  readonly isNamespaced: boolean;
}

const core = (plural: string, isNamespaced = true): KindInfo => ({ root: "api/v1", plural, isNamespaced });
const group = (root: string, plural: string, isNamespaced = true): KindInfo => ({
  root: `apis/${root}`,
  plural,
  isNamespaced,
});

const KINDS = {
  ConfigMap: core("configmaps"),
  Endpoints: core("endpoints"),
  Event: core("events"),
  Namespace: core("namespaces", false),
  Node: core("nodes", false),
  PersistentVolume: core("persistentvolumes", false),
  PersistentVolumeClaim: core("persistentvolumeclaims"),
  Pod: core("pods"),
  Secret: core("secrets"),
  Service: core("services"),
  ServiceAccount: core("serviceaccounts"),
  Deployment: group("apps/v1", "deployments"),
  Lease: group("coordination.k8s.io/v1", "leases"),
  PodDisruptionBudget: group("policy/v1", "poddisruptionbudgets"),
  NetworkPolicy: group("networking.k8s.io/v1", "networkpolicies"),
  Role: group("rbac.authorization.k8s.io/v1", "roles"),
  RoleBinding: group("rbac.authorization.k8s.io/v1", "rolebindings"),
  ClusterRole: group("rbac.authorization.k8s.io/v1", "clusterroles", false),
  ClusterRoleBinding: group("rbac.authorization.k8s.io/v1", "clusterrolebindings", false),
  StorageClass: group("storage.k8s.io/v1", "storageclasses", false),
  CustomResourceDefinition: group("apiextensions.k8s.io/v1", "customresourcedefinitions", false),
  RheaCluster: group("rheakv.io/v1alpha1", "rheaclusters"),
  RheaStore: group("rheakv.io/v1alpha1", "rheastores"),
} satisfies Record<string, KindInfo>;

/** A kind that the harness knows. A new one is a line in this file. */
export type Kind = keyof typeof KINDS;

/** Whether the harness knows a kind. */
export function isKind(kind: string | undefined): kind is Kind {
  return kind !== undefined && Object.hasOwn(KINDS, kind);
}

/** The API server's path of a kind's objects, or of one of them. */
export function pathOf(kind: Kind, namespace: string, name?: string): string {
  const { root, plural, isNamespaced } = KINDS[kind];
  return `/${root}/${isNamespaced ? `namespaces/${namespace}/` : ""}${plural}${name === undefined ? "" : `/${name}`}`;
}
