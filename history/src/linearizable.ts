import type { Model } from "./model.js";
import type { History, Operation } from "./record.js";
import { searchLinearization } from "./search.js";
import { witnessOf } from "./witness.js";

/** The judgement over a history. `undecided` means that the search was given up: neither proof nor violation. */
export type Verdict =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly kind: "violation" | "undecided";
      readonly key: string;
      /** Several lines for a person: the longest order that fits the answers, and why nothing can follow it. */
      readonly witness: string;
    };

/** Bounds of one check. */
export interface CheckLimits {
  /** Model steps per key after which a check is given up as `undecided`. Default 5,000,000 (some seconds). */
  readonly maxStepsPerKey?: number;
}

const DEFAULT_MAX_STEPS = 5_000_000;

/**
 * Judges whether a history is linearizable: whether every completed operation can be given one instant between its invocation and its
 * return so that, in that order, the model gives the observed answers. Open operations may be given an instant after their invocation,
 * or none. Sources: Wing and Gong 1993; Lowe, "Testing for linearizability", 2017.
 *
 * Each key is searched by itself. The worst case is exponential in the writes of one key that overlap (an open one overlaps everything
 * after it), so keep keys many when clients are many. An operation on several keys is recorded as one operation per key, with the same
 * invocation and return: that checks each key, not the atomicity of the whole.
 */
export function checkLinearizable<Op, Result, State>(
  history: History<Op, Result> | readonly Operation<Op, Result>[],
  model: Model<Op, Result, State>,
  limits: CheckLimits = {},
): Verdict {
  const operations = "operations" in history ? history.operations() : history;
  for (const [key, ofKey] of partition(operations, model)) {
    const end = searchLinearization(ofKey, model, limits.maxStepsPerKey ?? DEFAULT_MAX_STEPS);
    if (end === undefined) continue;
    const kind = end.gaveUpAfter === undefined ? "violation" : "undecided";
    return { ok: false, kind, key, witness: witnessOf(key, ofKey, model, end) };
  }
  return { ok: true };
}

/** Groups operations by key, without those that certainly had no effect. */
function partition<Op, Result, State>(
  operations: readonly Operation<Op, Result>[],
  model: Model<Op, Result, State>,
): Map<string, Operation<Op, Result>[]> {
  const byKey = new Map<string, Operation<Op, Result>[]>();
  for (const operation of operations) {
    if (operation.outcome.kind === "failed") continue;
    const key = model.keyOf(operation.op);
    const ofKey = byKey.get(key);
    if (ofKey === undefined) byKey.set(key, [operation]);
    else ofKey.push(operation);
  }
  return byKey;
}
