/** Whether the world is as the user wants it, and what a settled one looks like. */
import type { RheaClusterSpec, RheaClusterStatus } from "../../../api/index.js";
import { RESOURCES, type KubeObject, type Resource } from "../../../kube/index.js";
import type { AnyResource } from "../api-server/requests.js";
import { hasMajority } from "../placement/model.js";
import { CLUSTER, NAMESPACE } from "./names.js";
import type { World } from "./world.js";

/** What still differs from what is wanted; empty if the world has settled. */
export function differences(world: World): string[] {
  const { server, placement } = world;
  const cluster = server.find(RESOURCES.rheaClusters, CLUSTER);
  if (cluster === undefined) return leftovers(world);
  const spec = cluster.spec as RheaClusterSpec;
  const status = cluster.status as RheaClusterStatus | undefined;
  const found: string[] = [];
  const expect = (what: string, is: unknown, wanted: unknown): void => {
    if (is !== wanted) found.push(`${what}: ${String(is)} instead of ${String(wanted)}`);
  };
  const stores = [...placement.stores.values()].filter(({ lifecycle }) => lifecycle !== "tombstone");
  const wantedStores = spec.stores.autoscale === undefined ? spec.stores.replicas : stores.length;
  const [min, max] = [spec.stores.autoscale?.minReplicas ?? 3, spec.stores.autoscale?.maxReplicas ?? 0];
  if (spec.stores.autoscale !== undefined && (stores.length < min || stores.length > max))
    found.push(`${stores.length} stores, ${min} to ${max} wanted`);
  expect("stores in PD", stores.length, wantedStores);
  for (const { storeId, name, lifecycle, evictUntilMs } of stores) {
    if (lifecycle !== "up" || !placement.isAlive(storeId))
      found.push(`${name} is ${lifecycle} and ${placement.isAlive(storeId) ? "alive" : "not alive"}`);
    if (evictUntilMs > placement.nowMs) found.push(`leaders are kept off ${name}`);
  }
  const replicas = spec.regions?.replicas ?? 3;
  for (const region of placement.regions.values()) {
    const isFull =
      region.peers.length === replicas &&
      region.peers.every(({ isVoter, storeId }) => isVoter && placement.isAlive(storeId));
    if (!isFull || !hasMajority(region, placement.isAlive)) found.push(`region ${region.regionId} is not whole`);
  }
  const members = [...placement.pd.members.values()];
  expect("PD members", members.length, spec.pd?.replicas ?? 3);
  for (const { name, isVoter, isHealthy } of members)
    if (!isVoter || !isHealthy) found.push(`PD member ${name} is not well`);
  if (placement.operations.some(({ state }) => state === "running")) found.push("operations run");
  const names = [...stores, ...members].map(({ name }) => name).toSorted();
  const namesOf = (resource: AnyResource): string =>
    namesIn(world, resource, (name) => name.startsWith(`${CLUSTER.name}-`) || /^(data|log)-/.test(name)).join(" ");
  const claims = names.flatMap((name) =>
    spec.stores.logStorage !== undefined && name.includes("-store-")
      ? [`data-${name}`, `log-${name}`]
      : [`data-${name}`],
  );
  expect("pods", namesOf(RESOURCES.pods), names.join(" "));
  expect("claims", namesOf(RESOURCES.persistentVolumeClaims), claims.toSorted().join(" "));
  expect(
    "RheaStores",
    namesOf(RESOURCES.rheaStores),
    stores
      .map(({ name }) => name)
      .toSorted()
      .join(" "),
  );
  for (const { metadata, spec: podSpec } of world.pods()) {
    if (spec.image !== undefined) expect(`image of ${metadata?.name ?? ""}`, podSpec?.containers[0]?.image, spec.image);
  }
  expect("observedGeneration", status?.observedGeneration, cluster.metadata?.generation);
  expect("Ready", status?.conditions?.find(({ type }) => type === "Ready")?.status, "True");
  return found;
}

/** After the cluster's deletion: what should have gone with it. */
function leftovers(world: World): string[] {
  const kinds: AnyResource[] = [
    RESOURCES.pods,
    RESOURCES.rheaStores,
    RESOURCES.services,
    RESOURCES.podDisruptionBudgets,
  ];
  return kinds.flatMap((kind) => {
    const left = namesIn(world, kind, () => true);
    return left.length === 0 ? [] : [`${kind.plural} are left: ${left.join(" ")}`];
  });
}

function namesIn({ server }: World, resource: AnyResource, isWanted: (name: string) => boolean): string[] {
  return server
    .list(resource as Resource<KubeObject>)
    .filter(({ metadata }) => metadata?.namespace === NAMESPACE)
    .map(({ metadata }) => metadata?.name ?? "")
    .filter(isWanted)
    .toSorted();
}

/**
 * Pictures the objects of a settled cluster without what may differ between two equal ones: names of members, addresses, versions,
 * times, and how a member joined.
 */
export function picture(world: World): string[] {
  const kinds: readonly AnyResource[] = [
    ...[RESOURCES.pods, RESOURCES.persistentVolumeClaims, RESOURCES.services, RESOURCES.rheaStores],
    ...[RESOURCES.podDisruptionBudgets, RESOURCES.networkPolicies],
  ];
  const lines: string[] = [];
  for (const kind of kinds) {
    for (const object of world.server.list<KubeObject & { readonly spec?: unknown }>(kind)) {
      if (object.metadata?.namespace !== NAMESPACE) continue;
      const { name, labels, annotations, ownerReferences } = object.metadata;
      const text = JSON.stringify(
        { name, labels, annotations, ownerReferences, spec: object.spec },
        (key, value: unknown): unknown => {
          if (["nodeName", "volumeName", "ordinal", "rheakv.io/next-ordinal", "clusterIP", "clusterIPs"].includes(key))
            return undefined;
          if (key === "args" && Array.isArray(value))
            return value.filter((arg) => !/^--(join|initial-state)/.test(String(arg)));
          return value;
        },
      );
      lines.push(`${kind.kind} ${text.replace(/-(store|pd)-\d+/g, "-$1-N")}`);
    }
  }
  return lines.toSorted();
}
