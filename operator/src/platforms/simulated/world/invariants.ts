/** What must hold after every event, whatever the faults: judged as the API server and PD see the operator's writes. */
import type { PersistentVolumeClaim, Pod } from "../../../kube/index.js";
import type { HistoryEntry } from "../api-server/api-server.js";
import { isSame } from "../api-server/json.js";
import { MANAGER } from "./operator-process.js";
import type { World } from "./world.js";

/**
 * What went down less than this ago counts as up when an action of the operator is judged: it cannot know better. Heartbeats take 5 s, PD's
 * answers may be 5 s old, caches lag.
 */
const KNOWLEDGE_MS = 45_000;

/** What the judge must know of what the user wants. */
export interface Wanted {
  readonly maxReplacements: number;
  readonly suspend: boolean;
}

/** Watches the world. */
export function watchInvariants(world: World, wanted: () => Wanted): void {
  const { server } = world;
  server.onChange((entry) => {
    if (entry.manager !== MANAGER) return;
    switch (entry.plural) {
      case "rheaclusters":
        if (!isSame(entry.previous?.spec, entry.object.spec))
          world.violation("the operator wrote the spec of the RheaCluster");
        if (entry.type === "DELETED") world.violation("the operator deleted the RheaCluster");
        return;
      case "persistentvolumeclaims":
        if (isDeletion(entry)) checkVolumeDeletion(world, entry.object);
        if (entry.type === "ADDED") checkReuse(world, entry.object);
        return;
      case "pods":
        if (entry.type === "DELETED" && isReachable(world, entry)) world.forced.add(entry.object.metadata.uid);
        if (isDeletion(entry) && !wanted().suspend) checkPodDeletion(world, entry.object as unknown as Pod);
        return;
      default:
    }
  });
}

/** The first sign of a deletion: the mark, or the end of an object that had none. */
function isDeletion({ type, object, previous }: HistoryEntry): boolean {
  if (previous?.metadata.deletionTimestamp !== undefined) return false;
  return type === "DELETED" || object.metadata.deletionTimestamp !== undefined;
}

function isReachable(world: World, { object }: HistoryEntry): boolean {
  const { nodeName } = (object.spec ?? {}) as { readonly nodeName?: string };
  return nodeName !== undefined && world.machines.isReachable(nodeName);
}

function memberOf(claim: string): string {
  return claim.replace(/^(data|log)-/, "");
}

/** No volume goes before its store is a tombstone, its member is out of PD, or unless neither was ever known. */
function checkVolumeDeletion(world: World, { metadata }: PersistentVolumeClaim): void {
  const name = memberOf(metadata?.name ?? "");
  const store = world.placement.storeNamed(name);
  if (store !== undefined) {
    world.violation(
      `the operator deletes the volume of ${name}, which is ${store.lifecycle} in PD with ${world.placement.peersOn(store.storeId)} peers`,
    );
  }
  if (world.placement.pd.members.has(name))
    world.violation(`the operator deletes the volume of ${name}, which is a member of PD`);
}

function checkReuse(world: World, { metadata }: PersistentVolumeClaim): void {
  const name = memberOf(metadata?.name ?? "");
  const known = [...world.placement.stores.values()].filter((store) => store.name === name);
  if (known.length > 0 && known.every(({ lifecycle }) => lifecycle === "tombstone")) {
    world.violation(`a new volume for the name ${name}, which was a store that is a tombstone`);
  }
  if (world.placement.pd.removed.has(name))
    world.violation(`a new volume for the name ${name}, which was a PD member that was removed`);
}

function checkPodDeletion(world: World, { metadata }: Pod): void {
  const { placement } = world;
  const name = metadata?.name ?? "";
  const store = placement.storeNamed(name);
  if (store !== undefined) {
    const hurt = placement.regionsDependingOn(store.storeId, KNOWLEDGE_MS);
    if (hurt.length > 0) {
      const [region] = hurt;
      const peers = (region?.peers ?? []).map(({ storeId }) => {
        const peer = placement.stores.get(storeId);
        const downMs = placement.isAlive(storeId) ? 0 : placement.nowMs - (peer?.aliveMs ?? 0);
        return `${peer?.name ?? ""}${downMs === 0 ? "" : ` down for ${Math.round(downMs / 1000)} s`}`;
      });
      world.violation(
        `the operator stops ${name}, and region ${region?.regionId ?? 0} (${peers.join(", ")}) loses its quorum`,
      );
    }
  }
  if (placement.pd.dependsOn(name, KNOWLEDGE_MS) && placement.pd.members.size > 1) {
    world.violation(`the operator stops ${name}, and PD loses its quorum`);
  }
}

/** What is judged every second. */
export function checkState(world: World, wanted: Wanted): void {
  const { placement } = world;
  const under = new Set<number>();
  for (const { kind, origin, state, steps } of placement.operations) {
    if (kind !== "replace-peer" || origin !== "operator" || state !== "running") continue;
    const from = steps.find((step) => step.kind === "remove")?.storeId;
    if (from !== undefined) under.add(from);
  }
  if (under.size > wanted.maxReplacements) {
    world.violation(
      `${under.size} stores are under replacement, failover.maxReplacements is ${wanted.maxReplacements}`,
    );
  }
  if (placement.regionsWithoutData(({ name }) => world.hasData(name)).length > 0) {
    world.violation("a region has lost the data of a majority of its voters for ever");
  }
}
