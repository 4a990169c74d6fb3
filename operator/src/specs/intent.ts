/** What of a pod follows the user's wishes: the only ground on which a running process is restarted. */
import type { RheaCluster, RheaClusterSpec } from "../api/index.js";
import { RESTARTED_AT_ANNOTATION, type Component } from "./identity.js";

/**
 * What a user asked for, as text by key; empty where the user said nothing. It holds the wish and never what the operator makes of it, so
 * another version of the operator, with other defaults, restarts nothing.
 */
export type Intent = Readonly<Record<string, string>>;

/**
 * Reads off what a change of would take a restart.
 *
 * @param image the image that the user asked for; absent: any image will do
 */
export function intentOf({ spec, metadata }: RheaCluster, component: Component, image: string | undefined): Intent {
  const demand: NonNullable<RheaClusterSpec["pd"]> | RheaClusterSpec["stores"] =
    (component === "pd" ? spec.pd : spec.stores) ?? {};
  const raft = spec.config?.raft ?? {};
  return {
    ...(image === undefined ? {} : { image }),
    resources: textOf(demand.resources),
    nodeSelector: textOf(demand.nodeSelector),
    tolerations: textOf(demand.tolerations),
    restartedAt: metadata?.annotations?.[RESTARTED_AT_ANNOTATION] ?? "",
    ...(component === "pd"
      ? {}
      : {
          "raft.tickMs": textOf(raft.tickMs),
          "raft.electionTicks": textOf(raft.electionTicks),
          "raft.heartbeatTicks": textOf(raft.heartbeatTicks),
        }),
  };
}

/**
 * Says in words what differs between what a pod was made for and what is wanted now; undefined if nothing does. A key that an older
 * operator did not write down counts as one that the user had not set.
 *
 * @param made undefined if the annotation is gone: then only the image is compared
 * @param image what the pod's container runs, whatever was written down: somebody may have changed it
 */
export function describeDifference(made: Intent | undefined, image: string, wanted: Intent): string | undefined {
  const before: Intent = made === undefined ? { ...wanted, image } : { ...made, image };
  const changes = Object.entries({ image: made?.["image"] ?? image, ...wanted })
    .filter(([key, value]) => (before[key] ?? "") !== value)
    .map(([key, value]) => `${key} ${shown(before[key])} -> ${shown(value)}`);
  return changes.length === 0 ? undefined : changes.join(", ");
}

/** Reads a pod's annotation; undefined if it is absent or no map of texts. */
export function parseIntent(annotation: string | undefined): Intent | undefined {
  if (annotation === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(annotation);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return Object.values(value).every((text) => typeof text === "string") ? (value as Intent) : undefined;
  } catch {
    return undefined;
  }
}

function shown(text: string | undefined): string {
  return text === undefined || text === "" ? "default" : text;
}

/** Text of a value with the keys of maps in order; empty for nothing and for what is empty. */
function textOf(value: unknown): string {
  if (value === undefined) return "";
  const text = JSON.stringify(sorted(value));
  return text === "{}" || text === "[]" ? "" : text;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, child]) => [key, sorted(child)]));
}
