import type {
  AutoscaleSpec,
  PauseSpec,
  PdSpec,
  ResourceLimits,
  RheaCluster,
  StorageSpec,
  StoresSpec,
} from "./gen/rhea-cluster.js";
import { quantityBytes } from "./quantity.js";

/** A volume of every process of one kind. */
export interface StorageDemand {
  readonly sizeBytes: number;
  /** As the user wrote it, a Kubernetes quantity. */
  readonly size: string;
  /** Absent: the platform's default. */
  readonly className?: string;
}

/** A Kubernetes toleration, handed on as it is. */
export interface Toleration {
  readonly key?: string;
  readonly operator?: "Exists" | "Equal";
  readonly value?: string;
  readonly effect?: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
  readonly tolerationSeconds?: number;
}

/** Where processes of one kind may run, and with what. */
export interface PodDemand {
  readonly resources: {
    readonly requests: Readonly<Record<string, string>>;
    readonly limits: Readonly<Record<string, string>>;
  };
  /** Labels of hosts over which processes are spread, the most important first. */
  readonly topologyKeys: readonly string[];
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly tolerations: readonly Toleration[];
}

/** Scaling by regions per store. */
export interface AutoscaleDemand {
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly targetRegionsPerStore: number;
  /** Fewer stores must do for this long before one goes. */
  readonly scaleInDelayMs: number;
  /** Time between two changes of the number of stores. */
  readonly cooldownMs: number;
  /** Stores added or removed by one change. */
  readonly maxStep: number;
  /** Plan: says what it would do, and does nothing. */
  readonly mode: "Auto" | "Plan";
}

/** A RheaCluster with every default filled in. What the plan reads; never written back. */
export interface DesiredCluster {
  readonly name: string;
  /** metadata.generation, or a counter of accepted files on a platform without one. */
  readonly generation: number;
  /** Full reference of the image. Absent: processes keep what they run, new ones get the operator's own. */
  readonly image?: string;
  readonly imagePullPolicy: "Always" | "IfNotPresent" | "Never";
  readonly imagePullSecrets: readonly string[];
  readonly pdReplicas: 1 | 3 | 5;
  readonly pdStorage: StorageDemand;
  readonly pdPod: PodDemand;
  /** `stores.replicas`; with autoscale only the number to begin with. */
  readonly storeReplicas: number;
  readonly engine: "leveldb" | "memory";
  /** Bytes a store may fill, if the user said so. */
  readonly storageBytes: number | undefined;
  /** Absent: what the platform takes without being told. */
  readonly storeStorage?: StorageDemand;
  /** A volume of its own for the log. */
  readonly logStorage?: StorageDemand;
  readonly storePod: PodDemand;
  /** Stores that may join at the same time. */
  readonly maxParallelScaleOut: number;
  readonly autoscale?: AutoscaleDemand;
  readonly regionReplicas: number;
  readonly regionMaxBytes: number;
  readonly regionMaxKeys: number;
  readonly deadAfterMs: number;
  readonly maxReplacements: number;
  readonly logLevel: "error" | "warn" | "info" | "debug";
  readonly raft: { readonly tickMs: number; readonly electionTicks: number; readonly heartbeatTicks: number };
  readonly operationLimit: number;
  readonly mode: "Reconcile" | "Plan" | "Paused";
  /** Of mode Paused. `untilMs`: Unix time after which it counts as Reconcile; absent: until the user says so. */
  readonly pause?: { readonly untilMs?: number; readonly reason: string };
  readonly suspend: boolean;
  readonly deletionPolicy: "Retain" | "Delete";
  readonly tls: { readonly isEnabled: boolean; readonly issuerSecret?: string; readonly leafValidMs: number };
  readonly networkPolicy: {
    readonly isEnabled: boolean;
    readonly clientNamespaceLabels?: Readonly<Record<string, string>>;
  };
}

const TOPOLOGY_KEYS = ["topology.kubernetes.io/zone", "kubernetes.io/hostname"] as const;
const DAY_MS = 86_400_000;
const PD_REQUESTS = { cpu: "100m", memory: "128Mi" };
const STORE_REQUESTS = { cpu: "100m", memory: "256Mi" };
const STORAGE_SIZE = "10Gi";

/** What the platform knows and the cluster does not say. */
export interface ResolveOptions {
  /** Image of the operator, whose repository `spec.version` is a tag of. Absent on a platform without images. */
  readonly defaultImage?: string;
}

/** Fills in the defaults of the CRD's descriptions (README.md of the design, "Defaults"). */
export function resolveCluster(
  cluster: RheaCluster,
  generation: number,
  { defaultImage }: ResolveOptions = {},
): DesiredCluster {
  const { stores, pd = {}, regions = {}, failover = {}, config = {}, tls = {}, networkPolicy = {} } = cluster.spec;
  const { image = imageOf(cluster.spec.version, defaultImage), pause } = cluster.spec;
  const { autoscale } = stores;
  const regionReplicas = regions.replicas ?? 3;
  const clientNamespaceLabels = networkPolicy.clientNamespaceSelector?.matchLabels;
  return {
    name: cluster.metadata?.name ?? "",
    generation,
    ...(image === undefined ? {} : { image }),
    imagePullPolicy: cluster.spec.imagePullPolicy ?? "IfNotPresent",
    imagePullSecrets: (cluster.spec.imagePullSecrets ?? []).map(({ name }) => name),
    pdReplicas: pd.replicas ?? 3,
    pdStorage: storageOf(pd.storage, "1Gi"),
    pdPod: podOf(pd, PD_REQUESTS),
    storeReplicas: stores.replicas,
    engine: stores.engine ?? "leveldb",
    storageBytes: stores.storage?.size === undefined ? undefined : quantityBytes(stores.storage.size),
    storeStorage: storageOf(stores.storage, STORAGE_SIZE),
    ...(stores.logStorage === undefined ? {} : { logStorage: storageOf(stores.logStorage, STORAGE_SIZE) }),
    storePod: podOf(stores, STORE_REQUESTS),
    maxParallelScaleOut: stores.maxParallelScaleOut ?? 1,
    ...(autoscale === undefined ? {} : { autoscale: autoscaleOf(autoscale, regionReplicas) }),
    regionReplicas,
    regionMaxBytes: regions.maxBytes ?? 96 * 2 ** 20,
    regionMaxKeys: regions.maxKeys ?? 960_000,
    deadAfterMs: (failover.deadAfterSeconds ?? 300) * 1000,
    maxReplacements: failover.maxReplacements ?? 3,
    logLevel: config.logLevel ?? "info",
    raft: {
      tickMs: config.raft?.tickMs ?? 100,
      electionTicks: config.raft?.electionTicks ?? 8,
      heartbeatTicks: config.raft?.heartbeatTicks ?? 2,
    },
    operationLimit: config.schedule?.operationLimit ?? 8,
    mode: cluster.spec.mode ?? "Reconcile",
    ...(pause === undefined ? {} : { pause: pauseOf(pause) }),
    suspend: cluster.spec.suspend ?? false,
    deletionPolicy: cluster.spec.deletionPolicy ?? "Retain",
    tls: {
      isEnabled: tls.enabled ?? true,
      ...(tls.issuerSecret === undefined ? {} : { issuerSecret: tls.issuerSecret }),
      leafValidMs: (tls.leafValidDays ?? 90) * DAY_MS,
    },
    networkPolicy: {
      isEnabled: networkPolicy.enabled ?? true,
      ...(clientNamespaceLabels === undefined ? {} : { clientNamespaceLabels }),
    },
  };
}

/** The image with another tag: a digest names one image only, so it goes. */
function imageOf(version: string | undefined, defaultImage: string | undefined): string | undefined {
  if (version === undefined || defaultImage === undefined) return undefined;
  const withoutDigest = defaultImage.split("@", 1)[0] ?? "";
  return `${withoutDigest.replace(/:[^:/]*$/, "")}:${version}`; // the colon of a registry's port has a slash after it
}

function storageOf(spec: StorageSpec | undefined, defaultSize: string): StorageDemand {
  const size = spec?.size ?? defaultSize;
  return {
    size,
    sizeBytes: quantityBytes(size),
    ...(spec?.className === undefined ? {} : { className: spec.className }),
  };
}

function podOf(spec: PdSpec | StoresSpec, defaultRequests: Readonly<Record<string, string>>): PodDemand {
  const limits = texts(spec.resources?.limits);
  const defaults = Object.entries(defaultRequests).filter(([key]) => limits[key] === undefined);
  return {
    resources: { requests: { ...Object.fromEntries(defaults), ...texts(spec.resources?.requests) }, limits },
    topologyKeys: spec.topologyKeys ?? TOPOLOGY_KEYS,
    nodeSelector: spec.nodeSelector ?? {},
    tolerations: spec.tolerations ?? [],
  };
}

function texts(quantities: ResourceLimits = {}): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(quantities).map(([key, value]) => [key, String(value)]));
}

function autoscaleOf(spec: AutoscaleSpec, regionReplicas: number): AutoscaleDemand {
  return {
    minReplicas: spec.minReplicas ?? regionReplicas,
    maxReplicas: spec.maxReplicas,
    targetRegionsPerStore: spec.targetRegionsPerStore ?? 200,
    scaleInDelayMs: (spec.scaleInDelaySeconds ?? 1800) * 1000,
    cooldownMs: (spec.cooldownSeconds ?? 120) * 1000,
    maxStep: spec.maxStep ?? 1,
    mode: spec.mode ?? "Auto",
  };
}

function pauseOf({ until, reason = "" }: PauseSpec): NonNullable<DesiredCluster["pause"]> {
  return { reason, ...(until === undefined ? {} : { untilMs: Date.parse(until) }) };
}
