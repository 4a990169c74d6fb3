import { API_VERSION, KIND, type RheaCluster, type RheaClusterSpec } from "./gen/rhea-cluster.js";
import { STORE_KIND, type RheaStore, type RheaStoreSpec } from "./gen/rhea-store.js";

/**
 * An object, or a change of one, with what the API must say to it. The unit tests try each against the local form of the rules, the
 * end-to-end tests against a real API server.
 */
export interface RuleCase {
  /** What the row shows, unique. */
  readonly name: string;
  /** The object as it was accepted before; absent for a new one. */
  readonly old?: RheaCluster | RheaStore;
  readonly object: RheaCluster | RheaStore;
  /** `accepted`; or `schema`, refused by type, range or form; or part of the message of the CEL rule that refuses it. */
  readonly outcome: string;
}

const ACCEPTED = "accepted";
const NAME = "rules";

/** A spec with mistakes that its type would not let through. */
type Spec = Omit<Partial<RheaClusterSpec>, "stores"> & { readonly stores?: Partial<RheaClusterSpec["stores"]> };
type Rows = readonly (readonly [name: string, old: Spec | undefined, now: unknown, outcome: string])[];

const cluster = (spec: unknown, name = NAME): RheaCluster => {
  const given = spec as Spec;
  const stores = { replicas: 3, ...given.stores };
  return { apiVersion: API_VERSION, kind: KIND, metadata: { name }, spec: { ...given, stores } };
};

const store = (spec: RheaStoreSpec, name = `${NAME}-store-0`): RheaStore => ({
  apiVersion: API_VERSION,
  kind: STORE_KIND,
  metadata: { name },
  spec,
});

const autoscale = (min: number | undefined, maxReplicas: number) => ({
  autoscale: { maxReplicas, ...(min === undefined ? {} : { minReplicas: min }) },
});

const SPECS: Rows = [
  ["the smallest spec", undefined, {}, ACCEPTED],
  ["a spec without stores", undefined, { stores: { replicas: undefined } }, "schema"],
  ["as many stores as peers", undefined, { stores: { replicas: 5 }, regions: { replicas: 5 } }, ACCEPTED],
  ["one store with one peer", undefined, { stores: { replicas: 1 }, regions: { replicas: 1 } }, ACCEPTED],
  [
    "fewer stores than peers",
    undefined,
    { regions: { replicas: 5 } },
    "stores.replicas must be at least regions.replicas",
  ],
  [
    "fewer stores than the default of peers",
    undefined,
    { stores: { replicas: 2 } },
    "stores.replicas must be at least regions.replicas",
  ],
  ["no stores", undefined, { stores: { replicas: 0 } }, "schema"],
  ["a hundred stores", undefined, { stores: { replicas: 100 } }, "schema"],
  ["an even number of peers", undefined, { regions: { replicas: 2 } }, "schema"],
  ["two members", undefined, { pd: { replicas: 2 } }, "schema"],
  ["five members", { pd: { replicas: 1 } }, { pd: { replicas: 5 } }, ACCEPTED],

  ["autoscale from a minimum", undefined, { stores: autoscale(3, 9) }, ACCEPTED],
  ["autoscale with minimum and maximum alike", undefined, { stores: autoscale(4, 4) }, ACCEPTED],
  ["autoscale without a maximum", undefined, { stores: { autoscale: { minReplicas: 3 } } }, "schema"],
  [
    "autoscale below the peers",
    undefined,
    { stores: autoscale(2, 9) },
    "stores.autoscale.minReplicas must be at least regions.replicas",
  ],
  [
    "autoscale with a maximum below its minimum",
    undefined,
    { stores: autoscale(5, 4) },
    "stores.autoscale.maxReplicas must be at least stores.autoscale.minReplicas",
  ],
  [
    "autoscale with a maximum below the default minimum",
    undefined,
    { stores: { replicas: 5, ...autoscale(undefined, 4) }, regions: { replicas: 5 } },
    "stores.autoscale.maxReplicas must be at least stores.autoscale.minReplicas",
  ],
  [
    "another number of stores under autoscale",
    { stores: autoscale(3, 9) },
    { stores: { replicas: 5, ...autoscale(3, 9) } },
    "stores.replicas is only the start while stores.autoscale decides the number of stores",
  ],
  ["another number of stores as autoscale begins", {}, { stores: { replicas: 5, ...autoscale(3, 9) } }, ACCEPTED],
  ["another number of stores as autoscale ends", { stores: autoscale(3, 9) }, { stores: { replicas: 5 } }, ACCEPTED],
  ["other limits of autoscale", { stores: autoscale(3, 9) }, { stores: autoscale(4, 12) }, ACCEPTED],
  ["another number of stores", { stores: { replicas: 3 } }, { stores: { replicas: 5 } }, ACCEPTED],

  ["a version", undefined, { version: "0.1.0" }, ACCEPTED],
  ["an image", undefined, { image: "registry.example:5000/rhea@sha256:0123456789abcdef" }, ACCEPTED],
  ["version and image", undefined, { version: "0.1.0", image: "rhea:0.1.0" }, "version and image exclude each other"],
  ["a change from version to image", { version: "0.1.0" }, { image: "rhea:0.2.0" }, ACCEPTED],
  ["a version that is no tag", undefined, { version: "a/b" }, "schema"],
  ["an image with a space", undefined, { image: "rhea :1" }, "schema"],

  ["a pause with its mode", undefined, { mode: "Paused", pause: { until: "2030-01-01T00:00:00Z" } }, ACCEPTED],
  ["a pause without its mode", undefined, { pause: { reason: "night" } }, "set the mode, or remove pause"],
  ["a pause in another mode", undefined, { mode: "Plan", pause: { reason: "night" } }, "set the mode, or remove pause"],
  ["a pause until no date", undefined, { mode: "Paused", pause: { until: "tomorrow" } }, "schema"],
  ["an unknown mode", undefined, { mode: "Off" }, "schema"],

  ["TLS spelled out later", {}, { tls: { enabled: true } }, ACCEPTED],
  ["TLS taken away", {}, { tls: { enabled: false } }, "tls.enabled is immutable"],
  ["TLS brought in", { tls: { enabled: false } }, {}, "tls.enabled is immutable"],
  ["another issuer", { tls: { issuerSecret: "a" } }, { tls: { issuerSecret: "b" } }, ACCEPTED],
  [
    "an issuer without TLS",
    undefined,
    { tls: { enabled: false, issuerSecret: "a" } },
    "tls.issuerSecret has no meaning without TLS",
  ],
  ["certificates of no day", undefined, { tls: { leafValidDays: 0 } }, "schema"],

  ["a larger PD volume", {}, { pd: { storage: { size: "2Gi" } } }, ACCEPTED],
  ["a PD volume below the default", {}, { pd: { storage: { size: "512Mi" } } }, "pd.storage.size only grows"],
  ["a PD volume back to the default", { pd: { storage: { size: "2Gi" } } }, {}, "pd.storage.size only grows"],
  [
    "another StorageClass of PD",
    { pd: { storage: { className: "a" } } },
    { pd: { storage: { className: "b" } } },
    "pd.storage.className is immutable",
  ],
  [
    "the same size of PD in other words",
    { pd: { storage: { size: "2Gi", className: "a" } } },
    { pd: { storage: { size: "2048Mi", className: "a" } } },
    ACCEPTED,
  ],

  ["the default engine spelled out", {}, { stores: { engine: "leveldb" } }, ACCEPTED],
  ["another engine", {}, { stores: { engine: "memory" } }, "stores.engine is immutable"],
  ["an unknown engine", undefined, { stores: { engine: "rocksdb" } }, "schema"],
  ["a larger volume", { stores: { storage: { size: "10Gi" } } }, { stores: { storage: { size: "11G" } } }, ACCEPTED],
  [
    "a smaller volume",
    { stores: { storage: { size: "20Gi" } } },
    { stores: { storage: { size: "20G" } } },
    "stores.storage.size only grows",
  ],
  ["a volume below the default", {}, { stores: { storage: { size: "9Gi" } } }, "stores.storage.size only grows"],
  ["a volume that is no quantity", undefined, { stores: { storage: { size: "10 Gi" } } }, "schema"],
  [
    "a StorageClass added later",
    {},
    { stores: { storage: { className: "fast" } } },
    "stores.storage.className is immutable",
  ],
  ["a volume for the log", undefined, { stores: { logStorage: {} } }, ACCEPTED],
  ["a volume for the log later", {}, { stores: { logStorage: {} } }, "stores.logStorage can neither be added"],
  [
    "the volume for the log taken away",
    { stores: { logStorage: {} } },
    {},
    "stores.logStorage can neither be added nor removed",
  ],
  [
    "a smaller volume for the log",
    { stores: { logStorage: {} } },
    { stores: { logStorage: { size: "1Gi" } } },
    "stores.logStorage.size only grows",
  ],
  [
    "another StorageClass of the log",
    { stores: { logStorage: {} } },
    { stores: { logStorage: { className: "fast" } } },
    "stores.logStorage.className is immutable",
  ],

  [
    "resources as numbers and as texts",
    undefined,
    { stores: { resources: { requests: { cpu: 1, memory: "512Mi" }, limits: { cpu: "1500m", memory: 1073741824 } } } },
    ACCEPTED,
  ],
  [
    "a request of cpu above its limit",
    undefined,
    { stores: { resources: { requests: { cpu: 2 }, limits: { cpu: "1500m" } } } },
    "resources.requests.cpu must not be above resources.limits.cpu",
  ],
  [
    "a request of memory above its limit",
    undefined,
    { stores: { resources: { requests: { memory: "1Gi" }, limits: { memory: "1G" } } } },
    "resources.requests.memory must not be above resources.limits.memory",
  ],
  ["resources of PD", undefined, { pd: { resources: { requests: { cpu: "50m" }, limits: { cpu: 1 } } } }, ACCEPTED],
  [
    "a request of cpu above its limit for PD",
    undefined,
    { pd: { resources: { requests: { cpu: 2 }, limits: { cpu: 1 } } } },
    "resources.requests.cpu must not be above resources.limits.cpu",
  ],
  [
    "a request of memory above its limit for PD",
    undefined,
    { pd: { resources: { requests: { memory: 2 }, limits: { memory: 1 } } } },
    "resources.requests.memory must not be above resources.limits.memory",
  ],
  ["resources that are no quantity", undefined, { stores: { resources: { limits: { cpu: "much" } } } }, "schema"],
  [
    "places to run",
    undefined,
    {
      stores: {
        topologyKeys: ["topology.kubernetes.io/rack"],
        nodeSelector: { disk: "ssd" },
        tolerations: [{ key: "dedicated", operator: "Equal", value: "rhea", effect: "NoSchedule" }],
      },
    },
    ACCEPTED,
  ],
  ["a topology key that is no label", undefined, { stores: { topologyKeys: ["a b"] } }, "schema"],
  ["a toleration of an unknown effect", undefined, { pd: { tolerations: [{ effect: "Never" }] } }, "schema"],
  ["too many topology keys", undefined, { stores: { topologyKeys: ["a", "b", "c", "d", "e", "f"] } }, "schema"],

  ["a calm election timeout", undefined, { config: { raft: { electionTicks: 9, heartbeatTicks: 3 } } }, ACCEPTED],
  [
    "an election timeout near to the heartbeat",
    undefined,
    { config: { raft: { electionTicks: 8, heartbeatTicks: 3 } } },
    "must be at least three times config.raft.heartbeatTicks",
  ],
  [
    "a heartbeat near to the default election timeout",
    undefined,
    { config: { raft: { heartbeatTicks: 3 } } },
    "must be at least three times config.raft.heartbeatTicks",
  ],
  ["an unknown log level", undefined, { config: { logLevel: "trace" } }, "schema"],
];

/** Every row of the table. */
export const RULE_CASES: readonly RuleCase[] = [
  ...SPECS.map(([name, old, now, outcome]) => ({
    name,
    ...(old === undefined ? {} : { old: cluster(old) }),
    object: cluster(now),
    outcome,
  })),
  { name: "a name of forty characters", object: cluster({}, "d".repeat(40)), outcome: ACCEPTED },
  { name: "a name of forty-one characters", object: cluster({}, "d".repeat(41)), outcome: "at most 40 characters" },
  { name: "a name with a dot", object: cluster({}, "a.b"), outcome: "metadata.name must be lower-case letters" },
  { name: "a name that begins with a digit", object: cluster({}, "1a"), outcome: "metadata.name must be lower-case" },
  { name: "a store", object: store({ clusterName: NAME, ordinal: 0 }), outcome: ACCEPTED },
  {
    name: "a store of another name",
    object: store({ clusterName: NAME, ordinal: 1 }),
    outcome: "metadata.name must be <spec.clusterName>-store-<spec.ordinal>",
  },
  {
    name: "a store of a cluster that its name does not begin with",
    object: store({ clusterName: "other", ordinal: 0 }),
    outcome: "metadata.name must be <spec.clusterName>-store-<spec.ordinal>",
  },
  {
    name: "a store's marks",
    old: store({ clusterName: NAME, ordinal: 0 }),
    object: store({ clusterName: NAME, ordinal: 0, drain: true, removeFirst: true }),
    outcome: ACCEPTED,
  },
  {
    name: "a store given to another cluster",
    old: store({ clusterName: NAME, ordinal: 0 }),
    object: store({ clusterName: "other", ordinal: 0 }),
    outcome: "clusterName is immutable",
  },
  {
    name: "a store given another number",
    old: store({ clusterName: NAME, ordinal: 0 }),
    object: store({ clusterName: NAME, ordinal: 1 }),
    outcome: "ordinal is immutable",
  },
  {
    name: "a store of a negative number",
    object: store({ clusterName: NAME, ordinal: -1 }, `${NAME}-store--1`),
    outcome: "schema",
  },
];
