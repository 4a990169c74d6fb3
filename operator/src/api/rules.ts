import type { CelRule, RheaCluster, StoresSpec, RaftSpec, RheaClusterSpec, StorageSpec } from "./gen/rhea-cluster.js";
import { quantityBytes } from "./quantity.js";

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
  "": RheaCluster;
  spec: RheaClusterSpec;
  "spec.stores": StoresSpec;
  "spec.stores.storage": StorageSpec;
  "spec.config.raft": RaftSpec;
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
  rule(
    "spec",
    "self.stores.replicas >= (has(self.regions) && has(self.regions.replicas) ? self.regions.replicas : 3)",
    (self) => self.stores.replicas >= (self.regions?.replicas ?? 3),
  ),
  transition(
    "spec.stores",
    "(has(self.engine) ? self.engine : 'leveldb') == (has(oldSelf.engine) ? oldSelf.engine : 'leveldb')",
    (self, oldSelf) => (self.engine ?? "leveldb") === (oldSelf.engine ?? "leveldb"),
  ),
  transition(
    "spec.stores",
    "!has(oldSelf.storage) || has(self.storage)",
    (self, oldSelf) => oldSelf.storage === undefined || self.storage !== undefined,
  ),
  transition(
    "spec.stores.storage",
    "quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0",
    (self, oldSelf) => quantityBytes(self.size) >= quantityBytes(oldSelf.size),
  ),
  rule(
    "spec.config.raft",
    "(has(self.electionTicks) ? self.electionTicks : 8) >= 3 * (has(self.heartbeatTicks) ? self.heartbeatTicks : 2)",
    (self) => (self.electionTicks ?? 8) >= 3 * (self.heartbeatTicks ?? 2),
  ),
];

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
  return rules.filter(({ path, rule: text }) => {
    const local = LOCAL_RULES.find((candidate) => candidate.path === path && candidate.rule === text);
    if (local === undefined) return true; // an unknown rule is never taken as kept
    const self = valueAt(cluster, path);
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
