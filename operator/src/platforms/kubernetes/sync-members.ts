/** Keeps what belongs to single members: records, labels, owners and sizes of volumes. Writes only what differs. */
import { quantityBytes } from "../../api/quantity.js";
import { RESOURCES, type PersistentVolumeClaim, type StorageClass } from "../../kube/index.js";
import type { Blocked, Observed } from "../../plan/index.js";
import {
  INITIALISED_ANNOTATION,
  buildRheaStore,
  claimName,
  labelsOf,
  ownedBy,
  type Component,
} from "../../specs/index.js";
import { isOfAnother, type ClusterObjects } from "./cluster-objects.js";
import { STORES, type Caches } from "./deps.js";
import { volumesOf } from "./execute.js";
import { isSubset } from "./subset.js";
import { keep } from "./sync-objects.js";
import type { Writer } from "./writer.js";

/** Makes the objects of members say what they should; returns what cannot be done. */
export async function syncMembers(
  caches: Caches,
  objects: ClusterObjects,
  observed: Observed,
  writer: Writer,
): Promise<readonly Blocked[]> {
  const blocked: Blocked[] = [];
  for (const component of ["pd", "store"] as const) {
    const records = component === "pd" ? observed.pds : observed.stores;
    for (const { name, ordinal, initialised } of records) {
      const isRemoved = observed.view?.stores.some((store) => store.name === name && store.state === "tombstone");
      if (component === "store" && isRemoved !== true)
        await keep(caches.rheastores.store, STORES, buildRheaStore(objects.identity, name, ordinal), writer);
      await syncPod(objects, component, name, writer);
      for (const { volume, demand } of volumesOf(objects, component)) {
        const claim = objects.claims[component].get(claimName(name, volume));
        if (claim === undefined || claim.metadata?.deletionTimestamp !== undefined) continue;
        const metadata = claimMetadata(objects, component, name, claim, initialised);
        const growth = growthOf(claim, demand.size, caches.storageclasses.store);
        if (growth.kind === "impossible") blocked.push({ object: name, reason: growth.why });
        const spec = growth.kind === "grow" ? { resources: { requests: { storage: demand.size } } } : undefined;
        if (metadata === undefined && spec === undefined) continue;
        await writer.patch(RESOURCES.persistentVolumeClaims, claim, {
          ...(metadata === undefined ? {} : { metadata }),
          ...(spec === undefined ? {} : { spec }),
        });
      }
    }
  }
  return blocked;
}

async function syncPod(objects: ClusterObjects, component: Component, name: string, writer: Writer): Promise<void> {
  const pod = objects.pods[component].get(name);
  if (pod === undefined || isOfAnother(pod, objects.identity.uid)) return;
  const { metadata = {} } = pod;
  if (metadata.deletionTimestamp !== undefined) return;
  const labels = labelsOf(objects.identity, component, name);
  const hasOwner = metadata.ownerReferences?.some(({ uid }) => uid === objects.identity.uid) === true;
  if (hasOwner && isSubset(labels, metadata.labels)) return;
  const ownerReferences = ownedBy(objects.identity);
  await writer.patch(RESOURCES.pods, pod, { metadata: { labels, ...(hasOwner ? {} : { ownerReferences }) } });
}

/** Returns what has to change in a claim's metadata; undefined if nothing has. */
function claimMetadata(
  { identity, desired }: ClusterObjects,
  component: Component,
  name: string,
  claim: PersistentVolumeClaim,
  isInitialised: boolean,
): object | undefined {
  const labels = labelsOf(identity, component, name);
  const { annotations, ownerReferences = [] } = claim.metadata ?? {};
  const isOwned = ownerReferences.some(({ uid }) => uid === identity.uid);
  const shouldBeOwned = desired.deletionPolicy === "Delete";
  const change = {
    ...(isSubset(labels, claim.metadata?.labels) ? {} : { labels }),
    ...(isInitialised && annotations?.[INITIALISED_ANNOTATION] !== "true"
      ? { annotations: { [INITIALISED_ANNOTATION]: "true" } }
      : {}),
    ...(isOwned === shouldBeOwned
      ? {}
      : {
          ownerReferences: shouldBeOwned
            ? [...ownerReferences, ...ownedBy(identity)]
            : ownerReferences.filter(({ uid }) => uid !== identity.uid),
        }),
  };
  return Object.keys(change).length === 0 ? undefined : change;
}

type Growth =
  { readonly kind: "none" } | { readonly kind: "grow" } | { readonly kind: "impossible"; readonly why: string };

function growthOf(claim: PersistentVolumeClaim, wanted: string, classes: ReadonlyMap<string, StorageClass>): Growth {
  const now = claim.spec?.resources?.requests?.["storage"] ?? "";
  // A claim that asks for more already was changed by hand: volumes do not shrink.
  if (!(quantityBytes(wanted) > quantityBytes(now))) return { kind: "none" };
  const className = claim.spec?.storageClassName ?? "";
  if (claim.status?.phase !== "Bound") return { kind: "none" }; // the API server allows growth of bound claims only
  if (classes.get(className)?.allowVolumeExpansion === true) return { kind: "grow" };
  return {
    kind: "impossible",
    why: `its volume has ${now}, wanted ${wanted}, and StorageClass ${className} does not allow growth: set allowVolumeExpansion: true in it, or drain the stores one after the other so that new ones take their place`,
  };
}
