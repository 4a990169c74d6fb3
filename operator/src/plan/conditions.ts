import type { Condition } from "../api/gen/rhea-cluster.js";
import { describeStep, type Action, type Blocked } from "./action.js";

/** A condition without its time: the platform keeps the time since when each holds. */
export type TimelessCondition = Omit<Condition, "lastTransitionTime">;

/** What the conditions are made of. */
export interface Facts {
  readonly generation: number;
  readonly mode: "Reconcile" | "Plan" | "Paused";
  readonly isSuspended: boolean;
  readonly hasView: boolean;
  readonly regions: { readonly total: number; readonly underReplicated: number; readonly noQuorum: number } | undefined;
  /** Whether PD's voters that answer are a majority; undefined while PD does not answer. */
  readonly isPdHealthy: boolean | undefined;
  /** Everything is as wanted and nothing is about to be done. */
  readonly isSettled: boolean;
  readonly actions: readonly Action[];
  readonly blocked: readonly Blocked[];
  /** Stores, members and regions in one line. */
  readonly counts: string;
}

/**
 * Makes the conditions. Ready, Reconciling and Stalled are those of kstatus: Reconciling while something is on its way, Stalled when only a person
 * can help. Available: every region serves. QuorumHealthy: every region and PD have a quorum. Blocked: something waits for a person, or for
 * its next try.
 */
export function makeConditions(facts: Facts): readonly TimelessCondition[] {
  const { generation, mode, isSuspended, regions, actions, counts } = facts;
  const condition = (type: string, holds: boolean | undefined, reason: string, message: string): TimelessCondition => ({
    type,
    status: holds === undefined ? "Unknown" : holds ? "True" : "False",
    reason,
    message,
    observedGeneration: generation,
  });
  const isReady = facts.isSettled && !isSuspended;
  const held = facts.blocked.filter(({ isWaiting }) => isWaiting !== true);
  const stuck = held.filter(({ nextTryMs }) => nextTryMs === undefined);
  const isStalled = !isReady && actions.length === 0 && stuck.length > 0;
  const isReconciling = !isReady && !isStalled && !isSuspended && mode === "Reconcile";
  const isAvailable = regions && regions.total > 0 && regions.noQuorum === 0;
  const hasQuorum = regions && facts.isPdHealthy !== false && regions.noQuorum === 0;
  const waits = facts.blocked.filter(({ isWaiting }) => isWaiting === true);
  const doing = actions.length > 0 ? actions.map(describeStep).join("; ") : waits.map(describeBlocked).join("; ");
  return [
    condition("Ready", isReady, readyReason(facts, isReady), counts),
    condition(
      "Reconciling",
      isReconciling,
      actions.length > 0 ? "Acting" : isReady ? "Settled" : "Waiting",
      isReconciling ? doing : "",
    ),
    condition(
      "Stalled",
      isStalled,
      isStalled ? "Blocked" : "Moving",
      isStalled ? stuck.map(describeBlocked).join("; ") : "",
    ),
    condition("Available", isAvailable, isAvailable === true ? "AllRegionsServe" : "SomeRegionsDoNot", counts),
    condition("QuorumHealthy", hasQuorum, "Counted", counts),
    condition("Blocked", held.length > 0, held.length === 0 ? "Nothing" : "Held", held.map(describeBlocked).join("; ")),
  ];
}

function readyReason({ isSuspended, hasView, mode }: Facts, isReady: boolean): string {
  if (isReady) return "Ready";
  if (isSuspended) return "Suspended";
  if (!hasView) return "NoPlacementDriver";
  return mode === "Paused" ? "Paused" : "NotSettled";
}

/** Says in one line what is held back and why. */
export function describeBlocked({ object, reason }: Blocked): string {
  return `${object}: ${reason}`;
}
