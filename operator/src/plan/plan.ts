import type { DesiredCluster } from "../api/resolve.js";
import { NOTHING, blocked, joinParts, type Action, type Blocked, type PlanPart } from "./action.js";
import { decideScaling, type Scaling } from "./autoscale.js";
import { planClusterConfig } from "./cluster-config.js";
import { planCordons } from "./cordon.js";
import { computeDisruptions, type Disruptions } from "./disruptions.js";
import { makeContext, type Context } from "./judge.js";
import type { AutoscaleMemory, Observed } from "./observed.js";
import { planPdMembers } from "./pd-members.js";
import { planProcesses, planSuspend } from "./processes.js";
import { planReplacement } from "./replacement.js";
import { planRollout } from "./rollout.js";
import { planScale } from "./scale.js";
import { makeStatus, type PlannedStatus } from "./status.js";

/** What to do now, what is held back, and how things stand. */
export interface Plan {
  /** Actions are executed in Reconcile alone. A pause that is over counts as Reconcile. */
  readonly mode: DesiredCluster["mode"];
  /** To be executed in this order. One that fails is left to the next look. */
  readonly actions: readonly Action[];
  readonly blocked: readonly Blocked[];
  readonly status: PlannedStatus;
  /** What a PodDisruptionBudget may be set to without a loss of quorum. */
  readonly disruptions: Disruptions;
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
  const mode = modeNow(desired, observed.wallMs);
  const context = makeContext(observed, { ...desired, mode }, now);
  const scaling = decideScaling(context);
  const part = decide(context, scaling);
  return {
    mode,
    actions: part.actions,
    blocked: part.blocked,
    status: makeStatus(context, scaling, part),
    disruptions: computeDisruptions(context),
    ...(scaling.memory === undefined ? {} : { autoscale: scaling.memory }),
  };
}

function decide(context: Context, { wanted }: Scaling): PlanPart {
  const { desired, now, observed } = context;
  if (desired.mode === "Paused") {
    const { untilMs, reason } = desired.pause ?? { reason: "" };
    const nextTryMs = untilMs === undefined ? {} : { nextTryMs: now + untilMs - observed.wallMs };
    const why = reason === "" ? "" : ` (${reason})`;
    return blocked("cluster", `mode is Paused${why}: nothing is done until it is Reconcile`, nextTryMs);
  }
  if (desired.suspend) return planSuspend(context);
  return reconcileParts(
    joinParts(
      planPdMembers(context),
      planProcesses(context),
      planClusterConfig(context),
      planReplacement(context),
      planScale(context, wanted),
      planRollout(context),
      planCordons(context),
      watchSpace(context),
      stalePd(context),
    ),
  );
}

/** Leaves out what another part makes pointless: what is deleted is not started, and every process is touched once. */
function reconcileParts({ actions, blocked: held }: PlanPart): PlanPart {
  const touched = new Set<string>();
  const doomed = new Set(
    actions.flatMap((action) => (action.kind === "deleteStore" || action.kind === "deletePd" ? [action.name] : [])),
  );
  const kept = actions.filter((action) => {
    switch (action.kind) {
      case "startStore":
      case "startPd":
      case "restartProcess":
      case "stopProcess":
        if (doomed.has(action.name) || touched.has(action.name)) return false;
        touched.add(action.name);
        return true;
      default:
        return true;
    }
  });
  return { actions: kept, blocked: held };
}

/** A pause ends by itself. */
function modeNow({ mode, pause }: DesiredCluster, wallMs: number): DesiredCluster["mode"] {
  return mode === "Paused" && pause?.untilMs !== undefined && wallMs >= pause.untilMs ? "Reconcile" : mode;
}

function stalePd({ view, pds, observed: { pdError } }: Context): PlanPart {
  if (view !== undefined) return NOTHING;
  const running = pds.filter(({ record }) => record.initialised && record.process.kind === "running");
  const [first] = running;
  if (first === undefined) return NOTHING;
  const object = running.length === 1 ? first.record.name : "pd";
  const why = pdError === undefined ? "" : ` (${pdError})`;
  return blocked(object, `PD does not answer${why}: regions and stores are left as they are until it does`);
}

/** Reports stores that have filled nine tenths of `stores.storage.size`. */
function watchSpace({ stores, desired: { storageBytes } }: Context): PlanPart {
  if (storageBytes === undefined) return NOTHING;
  const tenthOf = (bytes: number) => Math.floor((bytes / storageBytes) * 10);
  return joinParts(
    ...stores.map(({ record, pd }) =>
      pd !== undefined && pd.usedBytes > storageBytes * 0.9
        ? blocked(
            record.name,
            `it uses more than ${Math.min(10, tenthOf(pd.usedBytes))} tenths of ${storageBytes} bytes: raise stores.storage.size or add stores`,
          )
        : NOTHING,
    ),
  );
}
