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
    logLevel: desired.logLevel,
  };
  const keys = Object.keys(wanted) as (keyof PdConfig)[];
  const known = { ...view.config, logLevel: view.config.logLevel || "info" }; // untold, every process logs at info
  const changed = keys.filter((key) => wanted[key] !== known[key]);
  if (changed.length === 0) return NOTHING;
  return {
    actions: [
      {
        kind: "setClusterConfig",
        config: wanted,
        reason: changed.map((key) => `${key} is ${known[key]}, wanted ${wanted[key]}`).join("; "),
        proof: "PD applies it to new operations only",
        undo: "change the spec back",
      },
    ],
    blocked: [],
  };
}
