import type { Model, Step } from "../model.js";

/** An operation on a key that hands out numbers. */
export type SequenceOp =
  /** Takes `step` (>= 1) numbers. */
  | { readonly kind: "next"; readonly key: string; readonly step: number }
  /** Reads the next number without taking it. */
  | { readonly kind: "latest"; readonly key: string };

/** What the operation answered: the first number of the range taken, or the next free number. */
export type SequenceResult = number;

/** Models getSequence and getLatestSequence (and, with steps of 1, a counter): every number is given out once, in order, from 0. */
export const sequenceModel: Model<SequenceOp, SequenceResult, number> = {
  name: "sequence",
  keyOf: (op) => op.key,
  initial: 0,
  step(next, op, outcome): Step<number> {
    if (outcome !== undefined && outcome.result !== next) return { ok: false, reason: `would answer ${next}` };
    return { ok: true, state: op.kind === "next" ? next + op.step : next };
  },
  isReadOnly: (op) => op.kind === "latest",
  identify: (next) => next,
  describe(op, outcome) {
    const answer = outcome === undefined ? "open" : outcome.result;
    return op.kind === "next" ? `next ${op.step} -> ${answer}` : `latest -> ${answer}`;
  },
  describeState: (next) => `next free ${next}`,
};
