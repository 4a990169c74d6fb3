/** What an operation went through, for the message of the error that ends it. */
import { RheaError, type ErrorCode } from "@rhea/common";
import type { Operation } from "./operation.js";

const MAX_KINDS = 8;

/** Notes one failed attempt. `storeId` 0: the route lookup. */
export function noteFailure(operation: Operation, storeId: number, what: string): void {
  const line = storeId === 0 ? `route lookup ${what}` : `store ${storeId} ${what}`;
  const trail = (operation.trail ??= new Map<string, number>());
  const count = trail.get(line);
  if (count !== undefined || trail.size < MAX_KINDS) trail.set(line, (count ?? 0) + 1);
}

/**
 * Makes the error of a call that ends without an answer: what, on which key, how often and where it was tried, the last error, and
 * whether a write may have happened.
 */
export function describeFailure(operation: Operation, code: ErrorCode, why: string): RheaError {
  const { lastError, attempts } = operation;
  const maybeApplied = operation.maybeApplied || (operation.isWrite && operation.state === "sent");
  const parts = [`${operation.name} ${keyText(operation.routeKey)}: ${why}, ${attempts} attempts`];
  if (operation.trail !== undefined) {
    const tried = [...operation.trail].map(([line, count]) => (count === 1 ? line : `${line} x${count}`));
    parts.push(`(${tried.join(", ")})`);
  }
  if (lastError !== undefined) parts.push(`; last error: ${lastError.code}: ${lastError.message}`);
  if (operation.isWrite) {
    parts.push(maybeApplied ? "; the write may have been applied: read it back" : "; the write was not applied");
  }
  return new RheaError(code, parts.join("").replace("(", " ("), {
    details: {
      ...(operation.route === undefined ? {} : { regionId: operation.route.regionId }),
      ...(operation.isWrite ? { maybeApplied } : {}),
    },
    cause: lastError,
  });
}

function keyText(key: string): string {
  const text = Buffer.from(key.slice(0, 40), "latin1").toString();
  return JSON.stringify(text) + (key.length > 40 ? "..." : "");
}
