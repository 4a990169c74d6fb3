import type { Model } from "./model.js";
import type { Operation } from "./record.js";
import type { DeadEnd } from "./search.js";

const SHOWN_BEFORE = 8;
const SHOWN_AFTER = 12;

/** Writes a dead end down for a person. */
export function witnessOf<Op, Result, State>(
  key: string,
  operations: readonly Operation<Op, Result>[],
  model: Model<Op, Result, State>,
  { order, state, gaveUpAfter }: DeadEnd<Op, Result, State>,
): string {
  const done = new Set(order);
  const line = (operation: Operation<Op, Result>): string => {
    const outcome = operation.outcome.kind === "ok" ? operation.outcome : undefined;
    const times = `${operation.invokedMs.toFixed(1)}..${outcome === undefined ? "?" : operation.returnedMs.toFixed(1)} ms`;
    return `#${operation.id} ${operation.clientId}: ${model.describe(operation.op, outcome)} (${times})`;
  };
  const waiting = operations.filter((operation) => !done.has(operation));
  // What returned before another operation was invoked must come before it.
  const earliestReturn = Math.min(...waiting.map(({ returnedAt }) => returnedAt));
  const next = waiting.filter(({ invokedAt }) => invokedAt < earliestReturn);
  const reasonOf = ({ op, outcome }: Operation<Op, Result>): string => {
    if (outcome.kind !== "ok") return "open: may come now or never, does not help";
    const step = model.step(state, op, outcome);
    return step.ok ? "fits here, but leads nowhere" : step.reason;
  };
  return [
    gaveUpAfter === undefined
      ? `key ${JSON.stringify(key)}: no order of its ${operations.length} operations explains the answers (model: ${model.name})`
      : `key ${JSON.stringify(key)}: given up after ${gaveUpAfter} steps over ${operations.length} operations (model: ${model.name})`,
    `the longest order that fits has ${order.length}${order.length > SHOWN_BEFORE ? `, of which the last ${SHOWN_BEFORE}` : ""}:`,
    ...order.slice(-SHOWN_BEFORE).map((operation) => `  ${line(operation)}`),
    `then the key holds ${model.describeState(state)}, and the next would be one of:`,
    ...next.slice(0, SHOWN_AFTER).map((operation) => `  ${line(operation)}: ${reasonOf(operation)}`),
    ...(next.length > SHOWN_AFTER ? [`  ... and ${next.length - SHOWN_AFTER} more`] : []),
  ].join("\n");
}
