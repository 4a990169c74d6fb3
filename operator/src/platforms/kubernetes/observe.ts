import type { AutoscaleMemory, Observed, PdView } from "../../plan/index.js";
import type { ClusterObjects } from "./cluster-objects.js";
import type { ClusterMemory, PlatformDeps } from "./deps.js";
import { nextOrdinal, pdRecords, storeRecords } from "./records.js";
import type { Times } from "./times.js";

/** Joins the caches and PD's view into what the plan looks at. */
export function observe(
  { caches }: Pick<PlatformDeps, "caches">,
  objects: ClusterObjects,
  memory: ClusterMemory,
  view: PdView | undefined,
  times: Times,
): Observed {
  forgetRuns(objects, memory);
  const sources = { objects, caches, times, runs: memory.runs, goneNodes: memory.goneNodes, view };
  const autoscale = autoscaleMemory(objects, times);
  return {
    pds: pdRecords(sources),
    stores: storeRecords(sources),
    nextOrdinal: nextOrdinal(sources, "store"),
    nextPdOrdinal: nextOrdinal(sources, "pd"),
    view,
    ...(memory.pdError === undefined ? {} : { pdError: memory.pdError.text }),
    ...(autoscale === undefined ? {} : { autoscale }),
    wallMs: times.wallMs,
  };
}

/** The status is the memory of autoscaling: it outlives this process. */
function autoscaleMemory({ object }: ClusterObjects, times: Times): AutoscaleMemory | undefined {
  const told = object.status?.autoscale;
  if (told === undefined) return undefined;
  const lowSinceMs = times.since(told.lowSince);
  const lastScaleMs = times.since(told.lastScaleAt);
  return {
    ...(lowSinceMs === undefined ? {} : { lowSinceMs }),
    ...(lastScaleMs === undefined ? {} : { lastScaleMs }),
  };
}

function forgetRuns({ pods }: ClusterObjects, { runs }: ClusterMemory): void {
  const uids = new Set([...pods.pd.values(), ...pods.store.values()].map(({ metadata }) => metadata?.uid ?? ""));
  for (const uid of runs.keys()) if (!uids.has(uid)) runs.delete(uid);
}
