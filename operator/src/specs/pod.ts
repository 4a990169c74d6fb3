/** What the pods of stores and of PD members have in common: restricted profile, probes, volumes, spreading. */
import type { DesiredCluster, PodDemand } from "../api/index.js";
import type { Pod } from "../kube/index.js";
import {
  INTENT_ANNOTATION,
  claimName,
  metadataOf,
  selectorOf,
  serviceName,
  tlsSecretName,
  type ClusterIdentity,
  type Component,
} from "./identity.js";
import type { Intent } from "./intent.js";

/** User and group of the image. */
const USER = 65532;
/** SIGTERM makes a process hand its leaders over; after this it is killed. */
const GRACE_SECONDS = 30;
/** Recovery of a large log takes long; the process answers all the while. */
const STARTUP_SECONDS = 600;

/** Where the image expects things. */
const PATHS = {
  data: "/var/lib/rhea",
  log: "/var/lib/rhea-log",
  tls: "/etc/rhea/tls",
} as const;

/** Flags that name a pod's certificate. */
export const TLS_ARGS: readonly string[] = [
  `--tls.ca-file=${PATHS.tls}/ca.crt`,
  `--tls.cert-file=${PATHS.tls}/tls.crt`,
  `--tls.key-file=${PATHS.tls}/tls.key`,
];

/** Directories of a process. They lie below the volumes' roots: a new file system is not an empty directory. */
export const DIRECTORIES = { data: `${PATHS.data}/data`, log: `${PATHS.log}/log` } as const;

/** What tells one pod from another. */
export interface PodRecipe {
  readonly cluster: ClusterIdentity;
  readonly desired: DesiredCluster;
  readonly component: Component;
  readonly name: string;
  /** Full reference. */
  readonly image: string;
  readonly intent: Intent;
  /** Program of the image with its flags. */
  readonly command: string;
  readonly args: readonly string[];
  readonly ports: { readonly grpc: number; readonly status: number };
  readonly hasLogVolume: boolean;
}

type PodSpec = NonNullable<Pod["spec"]>;
type Container = PodSpec["containers"][number];
type Probe = NonNullable<Container["livenessProbe"]>;

/** Builds a pod. The claims and the secret that it names are made by others. */
export function buildPod(recipe: PodRecipe): Pod {
  const { cluster, desired, component, name, image, intent } = recipe;
  const demand = component === "pd" ? desired.pdPod : desired.storePod;
  const metadata = metadataOf(cluster, name, component, name);
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...metadata, annotations: { [INTENT_ANNOTATION]: JSON.stringify({ ...intent, image }) } },
    spec: {
      hostname: name,
      subdomain: serviceName(cluster, component),
      restartPolicy: "Always",
      terminationGracePeriodSeconds: GRACE_SECONDS,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: USER,
        runAsGroup: USER,
        fsGroup: USER,
        fsGroupChangePolicy: "OnRootMismatch",
        seccompProfile: { type: "RuntimeDefault" },
      },
      ...(desired.imagePullSecrets.length === 0
        ? {}
        : { imagePullSecrets: desired.imagePullSecrets.map((secret) => ({ name: secret })) }),
      ...placement(cluster, component, demand),
      containers: [containerOf(recipe, demand)],
      volumes: volumesOf(recipe),
    },
  };
}

function containerOf(recipe: PodRecipe, { resources }: PodDemand): Container {
  const { desired, component, image, command, args, ports, hasLogVolume } = recipe;
  const hasLimits = Object.keys(resources.limits).length > 0;
  return {
    name: component,
    image,
    imagePullPolicy: desired.imagePullPolicy,
    command: [command],
    args: [...args],
    env: [
      { name: "NODE_NAME", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "spec.nodeName" } } },
      { name: "UV_THREADPOOL_SIZE", value: "16" },
    ],
    ports: [
      { name: "grpc", containerPort: ports.grpc, protocol: "TCP" },
      { name: "status", containerPort: ports.status, protocol: "TCP" },
    ],
    resources: { requests: { ...resources.requests }, ...(hasLimits ? { limits: { ...resources.limits } } : {}) },
    startupProbe: probe("/livez", { periodSeconds: 2, timeoutSeconds: 5, failureThreshold: STARTUP_SECONDS / 2 }),
    livenessProbe: probe("/livez", { periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 }),
    readinessProbe: probe("/readyz", { periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 3 }),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    },
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [
      { name: "data", mountPath: PATHS.data },
      ...(hasLogVolume ? [{ name: "log", mountPath: PATHS.log }] : []),
      ...(desired.tls.isEnabled ? [{ name: "tls", mountPath: PATHS.tls, readOnly: true }] : []),
      { name: "tmp", mountPath: "/tmp" },
    ],
  };
}

function volumesOf({ desired, name, hasLogVolume }: PodRecipe): NonNullable<PodSpec["volumes"]> {
  const claim = (volume: "data" | "log") => ({
    name: volume,
    persistentVolumeClaim: { claimName: claimName(name, volume) },
  });
  return [
    claim("data"),
    ...(hasLogVolume ? [claim("log")] : []),
    ...(desired.tls.isEnabled
      ? [{ name: "tls", secret: { secretName: tlsSecretName(name), defaultMode: 0o440 } }]
      : []),
    { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
  ];
}

/** Spreading is a wish. A lost node does not evict: whether it comes back in time, and what then, is the plan's question. */
function placement(cluster: ClusterIdentity, component: Component, demand: PodDemand): Partial<PodSpec> {
  const endured = (key: string) => ({ key, operator: "Exists", effect: "NoExecute" });
  return {
    ...(Object.keys(demand.nodeSelector).length === 0 ? {} : { nodeSelector: { ...demand.nodeSelector } }),
    tolerations: [
      ...demand.tolerations,
      endured("node.kubernetes.io/not-ready"),
      endured("node.kubernetes.io/unreachable"),
    ],
    ...(demand.topologyKeys.length === 0
      ? {}
      : {
          topologySpreadConstraints: demand.topologyKeys.map((topologyKey) => ({
            maxSkew: 1,
            topologyKey,
            whenUnsatisfiable: "ScheduleAnyway",
            labelSelector: { matchLabels: selectorOf(cluster, component) },
          })),
        }),
  };
}

function probe(path: string, times: Pick<Probe, "periodSeconds" | "timeoutSeconds" | "failureThreshold">): Probe {
  return { httpGet: { path, port: "status", scheme: "HTTP" }, successThreshold: 1, ...times };
}
