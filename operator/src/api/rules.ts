import type {
  CelRule,
  RaftSpec,
  ResourcesSpec,
  RheaCluster,
  RheaClusterSpec,
  StorageSpec,
  StoresSpec,
  TlsSpec,
} from "./gen/rhea-cluster.js";
import type { RheaStore } from "./gen/rhea-store.js";
import { quantityBytes, quantityValue } from "./quantity.js";

/**
 * A CEL rule of the CRD as a predicate, for clusters that no API server guards. `path`, and `rule` word for word, are the CRD's; a
 * test holds the two lists together.
 */
interface LocalRule {
  readonly path: string;
  readonly rule: string;
  /** Whether the rule reads `oldSelf`: then it is checked only where the value existed before. */
  readonly isTransition: boolean;
  holds(self: unknown, oldSelf: unknown): boolean;
}

/** The types of the places that have rules. */
interface Places {
  "": RheaCluster & RheaStore;
  "spec.clusterName": string;
  "spec.ordinal": number;
  spec: RheaClusterSpec;
  "spec.stores": StoresSpec;
  "spec.pd.resources": ResourcesSpec;
  "spec.stores.resources": ResourcesSpec;
  "spec.config.raft": RaftSpec;
  "spec.tls": TlsSpec;
}

function rule<P extends keyof Places>(path: P, text: string, holds: (self: Places[P]) => boolean): LocalRule {
  return { path, rule: text, isTransition: false, holds: (self) => holds(self as Places[P]) };
}

function transition<P extends keyof Places>(
  path: P,
  text: string,
  holds: (self: Places[P], oldSelf: Places[P]) => boolean,
): LocalRule {
  return {
    path,
    rule: text,
    isTransition: true,
    holds: (self, oldSelf) => holds(self as Places[P], oldSelf as Places[P]),
  };
}

/** The local form of every CEL rule of the CRD. */
export const LOCAL_RULES: readonly LocalRule[] = [
  rule("", "self.metadata.name.size() <= 40", (self) => (self.metadata?.name.length ?? 0) <= 40),
  rule("", "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')", (self) =>
    /^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(self.metadata?.name ?? ""),
  ),
  rule(
    "spec",
    "self.stores.replicas >= (has(self.regions) && has(self.regions.replicas) ? self.regions.replicas : 3)",
    (self) => self.stores.replicas >= regionReplicas(self),
  ),
  rule(
    "spec",
    "!has(self.stores.autoscale) || !has(self.stores.autoscale.minReplicas) || self.stores.autoscale.minReplicas >= (has(self.regions) && has(self.regions.replicas) ? self.regions.replicas : 3)",
    (self) => (self.stores.autoscale?.minReplicas ?? Infinity) >= regionReplicas(self),
  ),
  rule(
    "spec",
    "!has(self.stores.autoscale) || self.stores.autoscale.maxReplicas >= (has(self.stores.autoscale.minReplicas) ? self.stores.autoscale.minReplicas : (has(self.regions) && has(self.regions.replicas) ? self.regions.replicas : 3))",
    (self) =>
      self.stores.autoscale === undefined ||
      self.stores.autoscale.maxReplicas >= (self.stores.autoscale.minReplicas ?? regionReplicas(self)),
  ),
  rule(
    "spec",
    "!(has(self.version) && has(self.image))",
    (self) => self.version === undefined || self.image === undefined,
  ),
  rule(
    "spec",
    "!has(self.pause) || (has(self.mode) && self.mode == 'Paused')",
    (self) => self.pause === undefined || self.mode === "Paused",
  ),
  transition(
    "spec",
    "(has(self.tls) && has(self.tls.enabled) ? self.tls.enabled : true) == (has(oldSelf.tls) && has(oldSelf.tls.enabled) ? oldSelf.tls.enabled : true)",
    (self, old) => (self.tls?.enabled ?? true) === (old.tls?.enabled ?? true),
  ),
  transition(
    "spec",
    "quantity(has(self.pd) && has(self.pd.storage) && has(self.pd.storage.size) ? self.pd.storage.size : '1Gi').compareTo(quantity(has(oldSelf.pd) && has(oldSelf.pd.storage) && has(oldSelf.pd.storage.size) ? oldSelf.pd.storage.size : '1Gi')) >= 0",
    (self, old) => !shrinks(self.pd?.storage, old.pd?.storage, "1Gi"),
  ),
  transition(
    "spec",
    "(has(self.pd) && has(self.pd.storage) && has(self.pd.storage.className) ? self.pd.storage.className : '') == (has(oldSelf.pd) && has(oldSelf.pd.storage) && has(oldSelf.pd.storage.className) ? oldSelf.pd.storage.className : '')",
    (self, old) => self.pd?.storage?.className === old.pd?.storage?.className,
  ),
  rule(
    "spec.pd.resources",
    "!has(self.requests) || !has(self.limits) || !has(self.requests.cpu) || !has(self.limits.cpu) || quantity(string(self.requests.cpu)).compareTo(quantity(string(self.limits.cpu))) <= 0",
    (self) => fits(self, "cpu"),
  ),
  rule(
    "spec.pd.resources",
    "!has(self.requests) || !has(self.limits) || !has(self.requests.memory) || !has(self.limits.memory) || quantity(string(self.requests.memory)).compareTo(quantity(string(self.limits.memory))) <= 0",
    (self) => fits(self, "memory"),
  ),
  transition(
    "spec.stores",
    "(has(self.engine) ? self.engine : 'leveldb') == (has(oldSelf.engine) ? oldSelf.engine : 'leveldb')",
    (self, old) => (self.engine ?? "leveldb") === (old.engine ?? "leveldb"),
  ),
  transition(
    "spec.stores",
    "!has(self.autoscale) || !has(oldSelf.autoscale) || self.replicas == oldSelf.replicas",
    (self, old) => self.autoscale === undefined || old.autoscale === undefined || self.replicas === old.replicas,
  ),
  transition(
    "spec.stores",
    "quantity(has(self.storage) && has(self.storage.size) ? self.storage.size : '10Gi').compareTo(quantity(has(oldSelf.storage) && has(oldSelf.storage.size) ? oldSelf.storage.size : '10Gi')) >= 0",
    (self, old) => !shrinks(self.storage, old.storage, "10Gi"),
  ),
  transition(
    "spec.stores",
    "(has(self.storage) && has(self.storage.className) ? self.storage.className : '') == (has(oldSelf.storage) && has(oldSelf.storage.className) ? oldSelf.storage.className : '')",
    (self, old) => self.storage?.className === old.storage?.className,
  ),
  transition(
    "spec.stores",
    "has(self.logStorage) == has(oldSelf.logStorage)",
    (self, old) => (self.logStorage === undefined) === (old.logStorage === undefined),
  ),
  transition(
    "spec.stores",
    "quantity(has(self.logStorage) && has(self.logStorage.size) ? self.logStorage.size : '10Gi').compareTo(quantity(has(oldSelf.logStorage) && has(oldSelf.logStorage.size) ? oldSelf.logStorage.size : '10Gi')) >= 0",
    (self, old) => !shrinks(self.logStorage, old.logStorage, "10Gi"),
  ),
  transition(
    "spec.stores",
    "(has(self.logStorage) && has(self.logStorage.className) ? self.logStorage.className : '') == (has(oldSelf.logStorage) && has(oldSelf.logStorage.className) ? oldSelf.logStorage.className : '')",
    (self, old) => self.logStorage?.className === old.logStorage?.className,
  ),
  rule(
    "spec.stores.resources",
    "!has(self.requests) || !has(self.limits) || !has(self.requests.cpu) || !has(self.limits.cpu) || quantity(string(self.requests.cpu)).compareTo(quantity(string(self.limits.cpu))) <= 0",
    (self) => fits(self, "cpu"),
  ),
  rule(
    "spec.stores.resources",
    "!has(self.requests) || !has(self.limits) || !has(self.requests.memory) || !has(self.limits.memory) || quantity(string(self.requests.memory)).compareTo(quantity(string(self.limits.memory))) <= 0",
    (self) => fits(self, "memory"),
  ),
  rule(
    "spec.config.raft",
    "(has(self.electionTicks) ? self.electionTicks : 8) >= 3 * (has(self.heartbeatTicks) ? self.heartbeatTicks : 2)",
    (self) => (self.electionTicks ?? 8) >= 3 * (self.heartbeatTicks ?? 2),
  ),
  rule(
    "spec.tls",
    "!has(self.issuerSecret) || !has(self.enabled) || self.enabled",
    (self) => self.issuerSecret === undefined || self.enabled !== false,
  ),
];

/** The local form of every CEL rule of the CRD of RheaStore. */
export const LOCAL_STORE_RULES: readonly LocalRule[] = [
  rule(
    "",
    "self.metadata.name.startsWith(self.spec.clusterName + '-store-') && self.metadata.name.substring(self.spec.clusterName.size() + 7) == string(self.spec.ordinal)",
    (self) => self.metadata?.name === `${self.spec.clusterName}-store-${self.spec.ordinal}`,
  ),
  transition("spec.clusterName", "self == oldSelf", (self, old) => self === old),
  transition("spec.ordinal", "self == oldSelf", (self, old) => self === old),
];

function regionReplicas({ regions }: RheaClusterSpec): number {
  return regions?.replicas ?? 3;
}

function shrinks(storage: StorageSpec | undefined, old: StorageSpec | undefined, defaultSize: string): boolean {
  return quantityBytes(storage?.size ?? defaultSize) < quantityBytes(old?.size ?? defaultSize);
}

function fits({ requests, limits }: ResourcesSpec, resource: "cpu" | "memory"): boolean {
  const request = requests?.[resource];
  const limit = limits?.[resource];
  return request === undefined || limit === undefined || quantityValue(request) <= quantityValue(limit);
}

/**
 * Returns the rules that a cluster breaks, in the CRD's order. The cluster has passed the schema.
 *
 * @param previous the cluster as it was accepted last, for the transition rules
 */
export function brokenRules(
  rules: readonly CelRule[],
  cluster: RheaCluster,
  previous: RheaCluster | undefined,
): readonly CelRule[] {
  return broken(LOCAL_RULES, rules, cluster, previous);
}

/** Returns the rules that a store breaks, as {@link brokenRules} does for clusters. */
export function brokenStoreRules(
  rules: readonly CelRule[],
  store: RheaStore,
  previous: RheaStore | undefined,
): readonly CelRule[] {
  return broken(LOCAL_STORE_RULES, rules, store, previous);
}

function broken(
  locals: readonly LocalRule[],
  rules: readonly CelRule[],
  object: unknown,
  previous: unknown,
): readonly CelRule[] {
  return rules.filter(({ path, rule: text }) => {
    const local = locals.find((candidate) => candidate.path === path && candidate.rule === text);
    if (local === undefined) return true; // an unknown rule is never taken as kept
    const self = valueAt(object, path);
    if (self === undefined) return false;
    const oldSelf = previous === undefined ? undefined : valueAt(previous, path);
    if (local.isTransition && oldSelf === undefined) return false;
    return !local.holds(self, oldSelf);
  });
}

function valueAt(root: unknown, path: string): unknown {
  let value = root;
  for (const key of path === "" ? [] : path.split(".")) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value;
}
