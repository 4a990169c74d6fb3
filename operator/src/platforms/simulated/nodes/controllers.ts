/** The scheduler and the small controllers: protection of claims, garbage collection, namespaces. One pass looks at everything, soon after a change. */
import { RESOURCES, type PersistentVolumeClaim, type Pod } from "../../../kube/index.js";
import type { ApiServer } from "../api-server/api-server.js";
import type { AnyResource } from "../api-server/requests.js";
import type { Random } from "../world/random.js";
import type { VirtualTime } from "../world/virtual-time.js";
import type { Machines } from "./machines.js";
import type { Volumes } from "./volumes.js";

const MANAGER = "controller-manager";
/** Pods that do not fit are tried again this often. */
const RETRY_MS = 10_000;

/** Kinds that live in namespaces, in the order in which they are taken away. */
const NAMESPACED: readonly AnyResource[] = [
  ...[RESOURCES.rheaClusters, RESOURCES.rheaStores, RESOURCES.pods, RESOURCES.persistentVolumeClaims],
  ...[RESOURCES.services, RESOURCES.secrets, RESOURCES.podDisruptionBudgets, RESOURCES.networkPolicies],
  ...[RESOURCES.configMaps, RESOURCES.leases, RESOURCES.events],
];
/** Kinds whose changes these controllers care for. */
const TRIGGERS = new Set([
  "pods",
  "nodes",
  "persistentvolumeclaims",
  "persistentvolumes",
  "rheaclusters",
  "rheastores",
  "namespaces",
]);

/** What the controllers work on. */
export interface ControllerSetting {
  readonly server: ApiServer;
  readonly time: VirtualTime;
  readonly random: Random;
  readonly machines: Machines;
  readonly volumes: Volumes;
  /** Pods of ours that fit on a node. */
  readonly podsPerNode: number;
}

/** Starts the controllers. They run for as long as the world does. */
export function startControllers(setting: ControllerSetting): void {
  const { server, time, random } = setting;
  let isPlanned = false;
  const look = (delayMs: number): void => {
    if (isPlanned) return;
    isPlanned = true;
    time.plan(delayMs, () => {
      isPlanned = false;
      const isWaiting = schedule(setting);
      protectClaims(server);
      collectGarbage(server);
      finishNamespaces(server);
      if (isWaiting) time.plan(RETRY_MS, () => look(0));
    });
  };
  server.onChange(({ plural, manager }) => {
    if (TRIGGERS.has(plural) && manager !== "kubelet") look(random.between(50, 800));
    else if (plural === "pods") look(random.between(50, 800));
  });
}

/** Binds pods to nodes. Returns whether one had to be left. */
function schedule({ server, time, machines, volumes, podsPerNode, random }: ControllerSetting): boolean {
  const pods = server.list(RESOURCES.pods);
  let isWaiting = false;
  for (const pod of pods) {
    const { name = "", namespace = "", deletionTimestamp } = pod.metadata ?? {};
    if (pod.spec?.nodeName !== undefined || deletionTimestamp !== undefined) continue;
    const choice = chooseNode(pod);
    const status = choice.node === undefined ? "False" : "True";
    const before = pod.status?.conditions?.find(({ type }) => type === "PodScheduled");
    const condition = {
      ...{
        type: "PodScheduled",
        status,
        lastTransitionTime: before?.status === status ? before.lastTransitionTime : time.timestamp(),
      },
      ...(choice.node === undefined ? { reason: "Unschedulable", message: choice.why } : {}),
    };
    if (choice.node === undefined) {
      isWaiting = true;
      server.amend(RESOURCES.pods, { name, namespace }, "scheduler", () => ({
        status: { phase: "Pending", conditions: [condition] },
      }));
      continue;
    }
    for (const claim of choice.claims) volumes.bind(claim, choice.node);
    const { node } = choice;
    server.amend(RESOURCES.pods, { name, namespace }, "scheduler", () => ({
      spec: { nodeName: node },
      status: { conditions: [condition] },
    }));
  }
  return isWaiting;

  function chooseNode(
    pod: Pod,
  ):
    | { readonly node: string; readonly claims: PersistentVolumeClaim[] }
    | { readonly node: undefined; readonly why: string } {
    const { namespace = "" } = pod.metadata ?? {};
    const claims: PersistentVolumeClaim[] = [];
    let pinned: string | undefined;
    for (const { persistentVolumeClaim } of pod.spec?.volumes ?? []) {
      const name = persistentVolumeClaim?.claimName;
      if (name === undefined) continue;
      const claim = server.find(RESOURCES.persistentVolumeClaims, { namespace, name });
      if (claim === undefined) return { node: undefined, why: `persistentvolumeclaim "${name}" not found` };
      if (claim.metadata?.deletionTimestamp !== undefined)
        return { node: undefined, why: `persistentvolumeclaim "${name}" is being deleted` };
      if (volumes.isLost(claim))
        return { node: undefined, why: `persistentvolumeclaim "${name}" bound to non-existent persistentvolume` };
      claims.push(claim);
      pinned = volumes.nodeOf(claim) ?? pinned;
    }
    const load = (node: string): number =>
      server.list(RESOURCES.pods).filter(({ spec }) => spec?.nodeName === node).length;
    const open = machines.names().filter((node) => {
      const { spec } = server.find(RESOURCES.nodes, { name: node }) ?? {};
      return spec?.unschedulable !== true && (spec?.taints ?? []).length === 0;
    });
    const usable = open.filter((node) => (pinned === undefined || node === pinned) && load(node) < podsPerNode);
    if (usable.length === 0) {
      const why = pinned === undefined ? "no node has room" : "node(s) had volume node affinity conflict";
      return { node: undefined, why: `0/${machines.names().length} nodes are available: ${why}` };
    }
    const component = pod.metadata?.labels?.["app.kubernetes.io/component"];
    const alike = (node: string): number =>
      server
        .list(RESOURCES.pods)
        .filter(
          ({ spec, metadata }) =>
            spec?.nodeName === node && metadata?.labels?.["app.kubernetes.io/component"] === component,
        ).length;
    const best = usable.toSorted((a, b) => alike(a) - alike(b) || load(a) - load(b));
    // Soft constraints: mostly the best node, now and then another one.
    const node = random.chance(0.9) ? best[0] : random.pick(best);
    return node === undefined ? { node: undefined, why: "no node" } : { node, claims };
  }
}

/** Lets claims go that are to be deleted and no pod uses. */
function protectClaims(server: ApiServer): void {
  for (const { metadata } of server.list(RESOURCES.persistentVolumeClaims)) {
    if (metadata?.deletionTimestamp === undefined) continue;
    const { name = "", namespace = "" } = metadata;
    const isUsed = server
      .list(RESOURCES.pods)
      .some(
        (pod) =>
          pod.metadata?.namespace === namespace &&
          pod.spec?.nodeName !== undefined &&
          pod.spec.volumes?.some((volume) => volume.persistentVolumeClaim?.claimName === name),
      );
    if (!isUsed)
      server.amend(RESOURCES.persistentVolumeClaims, { name, namespace }, "pvc-protection", () => ({
        metadata: { finalizers: null },
      }));
  }
}

/** Deletes what has owners and none of them exists. */
function collectGarbage(server: ApiServer): void {
  const alive = new Set<string>();
  for (const resource of NAMESPACED) for (const { metadata } of server.list(resource)) alive.add(metadata?.uid ?? "");
  for (const resource of NAMESPACED) {
    for (const { metadata } of server.list(resource)) {
      const owners = metadata?.ownerReferences ?? [];
      if (owners.length === 0 || owners.some(({ uid }) => alive.has(uid))) continue;
      if (metadata?.deletionTimestamp !== undefined) continue;
      server.delete(
        resource,
        { name: metadata?.name ?? "", namespace: metadata?.namespace ?? "" },
        { manager: "garbage-collector" },
      );
    }
  }
}

/** Empties namespaces that are being deleted, and ends them. */
function finishNamespaces(server: ApiServer): void {
  for (const { metadata } of server.list(RESOURCES.namespaces)) {
    if (metadata?.deletionTimestamp === undefined) continue;
    let left = 0;
    for (const resource of NAMESPACED) {
      for (const object of server.list(resource)) {
        if (object.metadata?.namespace !== metadata.name) continue;
        const key = { name: object.metadata?.name ?? "", namespace: metadata.name ?? "" };
        if (object.metadata?.deletionTimestamp === undefined) server.delete(resource, key, { manager: MANAGER });
        if (server.find(resource, key) !== undefined) left++;
      }
    }
    if (left === 0) server.remove(RESOURCES.namespaces, { name: metadata.name ?? "" }, MANAGER);
  }
}
