import type { PdConfig } from "./observed.js";

/** What an action does. Executors switch over it; every kind may be repeated without harm. */
export type Step =
  /** Starts a PD member that exists, with its own directory. `isFirst`: no member has ever served, and it begins the cluster. */
  | { readonly kind: "startPd"; readonly name: string; readonly isFirst: boolean }
  /** Makes the record of a new PD member and starts it; unless it is the first it joins those that are there. */
  | { readonly kind: "addPd"; readonly name: string; readonly ordinal: number; readonly isFirst: boolean }
  /** Takes a member out of PD's group. */
  | { readonly kind: "removePdMember"; readonly name: string }
  /** Deletes the record and the directory of a PD member that is out of PD's group. */
  | { readonly kind: "deletePd"; readonly name: string }
  | { readonly kind: "transferPdLeader"; readonly toName: string }
  /** Keeps leaders off a store for `ttlMs`; renewed while it is needed, so that nothing is left behind. */
  | { readonly kind: "evictLeaders"; readonly name: string; readonly storeId: number; readonly ttlMs: number }
  | { readonly kind: "releaseLeaders"; readonly name: string; readonly storeId: number }
  /** Makes the record of a new store and starts it. */
  | { readonly kind: "addStore"; readonly name: string; readonly ordinal: number }
  /** Starts the process of a store that exists, with its own directory and never with a new one. */
  | { readonly kind: "startStore"; readonly name: string }
  | { readonly kind: "stopProcess"; readonly name: string }
  /** Stops in order and starts again. */
  | { readonly kind: "restartProcess"; readonly name: string }
  | { readonly kind: "drainStore"; readonly name: string; readonly storeId: number }
  | { readonly kind: "cancelDrain"; readonly name: string; readonly storeId: number }
  /** Makes the store a tombstone in PD. `force`: it is dead and nothing is left on it. */
  | { readonly kind: "removeStore"; readonly name: string; readonly storeId: number; readonly force: boolean }
  /**
   * Deletes the record, the directory and the log of a store that is a tombstone or never registered; what is left of its process goes
   * first, by force where its host is lost.
   */
  | { readonly kind: "deleteStore"; readonly name: string }
  /** Asks PD for the operation replace-peer with origin `operator`. */
  | {
      readonly kind: "replacePeer";
      readonly regionId: number;
      readonly fromStoreId: number;
      readonly toStoreId: number;
      readonly fromName: string;
      readonly toName: string;
    }
  | { readonly kind: "reportDiskLost"; readonly name: string; readonly storeId: number }
  | { readonly kind: "setClusterConfig"; readonly config: PdConfig };

/** One step of the plan with everything a person needs to agree to it. */
export type Action = Step & {
  /** Why it is done. */
  readonly reason: string;
  /** The counted facts that make it safe. */
  readonly proof: string;
  /** How it is taken back. */
  readonly undo: string;
};

/** Something that the plan would do and does not, or that it cannot mend. */
export interface Blocked {
  /** A store, a region or the cluster, as users call it. */
  readonly object: string;
  /** Why, with counted facts and the fix; no running times, so that it is the same while nothing changes. */
  readonly reason: string;
  /** Resolves as what is under way goes on: nobody needs to do anything. Default false. */
  readonly isWaiting?: boolean;
  /** When it is tried again, where that is known: on the clock of `now`, the same at every look until then. */
  readonly nextTryMs?: number;
}

/** Actions and what is held back; parts of a plan are joined with {@link joinParts}. */
export interface PlanPart {
  readonly actions: readonly Action[];
  readonly blocked: readonly Blocked[];
}

/** Nothing to do and nothing held back. */
export const NOTHING: PlanPart = { actions: [], blocked: [] };

/** Joins parts in order. */
export function joinParts(...parts: readonly PlanPart[]): PlanPart {
  return {
    actions: parts.flatMap(({ actions }) => actions),
    blocked: parts.flatMap(({ blocked }) => blocked),
  };
}

/** A part of one action. */
export function act(action: Action): PlanPart {
  return { actions: [action], blocked: [] };
}

/** A part that only says what is held back. */
export function blocked(object: string, reason: string, more: Partial<Blocked> = {}): PlanPart {
  return { actions: [], blocked: [{ object, reason, ...more }] };
}

/** Names an action in one short phrase for people. */
export function describeStep(step: Step): string {
  switch (step.kind) {
    case "startPd":
      return `start ${step.name}`;
    case "addPd":
      return `add ${step.name}`;
    case "removePdMember":
      return `take ${step.name} out of pd`;
    case "deletePd":
      return `delete the data of ${step.name}`;
    case "transferPdLeader":
      return `make ${step.toName} the leader of pd`;
    case "evictLeaders":
      return `move leaders off ${step.name}`;
    case "releaseLeaders":
      return `let ${step.name} lead again`;
    case "addStore":
      return `add ${step.name}`;
    case "startStore":
      return `start ${step.name}`;
    case "stopProcess":
      return `stop ${step.name}`;
    case "restartProcess":
      return `restart ${step.name}`;
    case "drainStore":
      return `drain ${step.name}`;
    case "cancelDrain":
      return `cancel the drain of ${step.name}`;
    case "removeStore":
      return `remove ${step.name} from the cluster`;
    case "deleteStore":
      return `delete the data of ${step.name}`;
    case "replacePeer":
      return `region ${step.regionId}: replace the peer on ${step.fromName} by one on ${step.toName}`;
    case "reportDiskLost":
      return `tell pd that the disk of ${step.name} is lost`;
    case "setClusterConfig":
      return "set the configuration of pd";
  }
}
