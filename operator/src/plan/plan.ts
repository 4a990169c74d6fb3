import type { DesiredCluster } from "../api/resolve.js";
import { joinParts, type Action, type Blocked, type PlanPart } from "./action.js";
import { planClusterConfig } from "./cluster-config.js";
import { isMember, makeContext, type Context } from "./judge.js";
import type { AutoscaleMemory, Observed } from "./observed.js";
import { planProcesses } from "./processes.js";
import { planReplacement } from "./replacement.js";
import { planScale } from "./scale.js";
import { makeStatus, type PlannedStatus } from "./status.js";

/** What to do now, what is held back, and how things stand. */
export interface Plan {
  /** To be executed in this order, unless the mode is Plan. */
  readonly actions: readonly Action[];
  readonly blocked: readonly Blocked[];
  readonly status: PlannedStatus;
  /** What a PodDisruptionBudget may be set to without a loss of quorum. */
  readonly disruptions: { readonly storesMinAvailable: number; readonly pdMinAvailable: number };
  /** Present with autoscaling: to be handed back in {@link Observed.autoscale} at the next look. */
  readonly autoscale?: AutoscaleMemory & { readonly wanted: number };
}

/**
 * Decides what brings the observed cluster one step nearer to the desired one. Pure: the same input gives the same plan, and the plan
 * of a settled cluster is empty. Nothing touches regions or stores while PD's view is missing or stale; processes are kept running all
 * the same, because a store's own identity guards it.
 *
 * @param now milliseconds on the monotonic clock that `observed` uses
 */
export function plan(observed: Observed, desired: DesiredCluster, now: number): Plan {
  const context = makeContext(observed, desired, now);
  const { actions, blocked } = decide(context);
  const disruptions = {
    storesMinAvailable: Math.max(0, context.stores.filter(isMember).length - 1),
    pdMinAvailable: Math.max(0, observed.pds.length - 1),
  };
  return { actions, blocked, status: makeStatus(context, actions, blocked), disruptions };
}

function decide(context: Context): PlanPart {
  const { desired, observed, view } = context;
  if (desired.mode === "Paused") {
    return {
      actions: [],
      blocked: [{ object: "cluster", reason: "mode is Paused: nothing is done until it is Reconcile" }],
    };
  }
  const processes = planProcesses(context);
  if (desired.suspend) return processes;
  const part = joinParts(
    processes,
    planClusterConfig(context),
    planReplacement(context),
    planScale(context),
    watchSpace(context),
    stalePd(observed, view),
  );
  const doomed = new Set(part.actions.flatMap((action) => (action.kind === "deleteStore" ? [action.name] : [])));
  const actions = part.actions.filter((action) => action.kind !== "startStore" || !doomed.has(action.name));
  return { actions, blocked: part.blocked };
}

function stalePd(observed: Observed, view: Context["view"]): PlanPart {
  const running = observed.pds.filter(({ initialised, process }) => initialised && process.kind === "running");
  const [first] = running;
  const reason = "PD does not answer: regions and stores are left as they are until it does";
  return { actions: [], blocked: view === undefined && first !== undefined ? [{ object: first.name, reason }] : [] };
}

/** Reports stores that have filled nine tenths of `stores.storage.size`. */
function watchSpace({ stores, desired: { storageBytes } }: Context): PlanPart {
  if (storageBytes === undefined) return { actions: [], blocked: [] };
  const blocked = stores.flatMap(({ record, pd }) =>
    pd !== undefined && pd.usedBytes > storageBytes * 0.9
      ? [
          {
            object: record.name,
            reason: `it uses ${pd.usedBytes} of ${storageBytes} bytes: raise stores.storage.size or add stores`,
          },
        ]
      : [],
  );
  return { actions: [], blocked };
}
