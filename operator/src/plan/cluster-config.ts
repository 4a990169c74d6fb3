import { NOTHING, type PlanPart } from "./action.js";
import type { Context } from "./judge.js";
import type { PdConfig } from "./observed.js";

/** Gives PD the settings that the spec asks for, and `repair: operator`: dead peers are replaced by this plan alone. */
export function planClusterConfig({ view, desired }: Context): PlanPart {
  if (view === undefined) return NOTHING;
  const wanted: PdConfig = {
    replicas: desired.regionReplicas,
    repair: "operator",
    regionMaxBytes: desired.regionMaxBytes,
    regionMaxKeys: desired.regionMaxKeys,
    operationLimit: desired.operationLimit,
  };
  const keys = Object.keys(wanted) as (keyof PdConfig)[];
  const changed = keys.filter((key) => wanted[key] !== view.config[key]);
  if (changed.length === 0) return NOTHING;
  return {
    actions: [
      {
        kind: "setClusterConfig",
        config: wanted,
        reason: changed.map((key) => `${key} is ${view.config[key]}, wanted ${wanted[key]}`).join("; "),
        proof: "PD applies it to new operations only",
        undo: "change the spec back",
      },
    ],
    blocked: [],
  };
}
