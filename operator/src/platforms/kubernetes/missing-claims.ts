import { RESOURCES } from "../../kube/index.js";
import type { Observed } from "../../plan/index.js";
import { claimName, labelsOf, type Component } from "../../specs/index.js";
import type { ClusterObjects } from "./cluster-objects.js";
import type { PlatformDeps } from "./deps.js";
import { volumesOf } from "./execute.js";
import { isSubset } from "./subset.js";
import type { Writer } from "./writer.js";

/**
 * Makes sure that volumes which held data and are not in the cache are really gone, before anything follows from it: the cache chooses by
 * label, and somebody may have taken the labels away. Gives them back.
 *
 * @returns whether a claim was found after all: the caches are about to show it, and what was observed is not to be acted upon
 */
export async function findHiddenClaims(
  { kube }: Pick<PlatformDeps, "kube">,
  objects: ClusterObjects,
  observed: Observed,
  writer: Writer,
): Promise<boolean> {
  const { identity, claims } = objects;
  let isFound = false;
  for (const component of ["pd", "store"] as const satisfies readonly Component[]) {
    const lost = (component === "pd" ? observed.pds : observed.stores).filter(
      ({ initialised, directory }) => initialised && directory === "missing",
    );
    for (const { name } of lost) {
      const absent = volumesOf(objects, component).filter(
        ({ volume }) => !claims[component].has(claimName(name, volume)),
      );
      for (const { volume } of absent) {
        const key = { namespace: identity.namespace, name: claimName(name, volume) };
        const live = await kube.find(RESOURCES.persistentVolumeClaims, key);
        if (live === undefined) continue;
        const labels = labelsOf(identity, component, name);
        if (!isSubset(labels, live.metadata?.labels))
          await writer.patch(RESOURCES.persistentVolumeClaims, live, { metadata: { labels } });
        isFound = true;
      }
    }
  }
  return isFound;
}
