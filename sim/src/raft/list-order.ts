/**
 * Judges histories of growing lists when the final lists are known: they are the order of all appends, so that what the general search of
 * `history/` may have to give up on (many open appends) is decided in one pass.
 */
import type { AppendListOp, AppendListResult, Operation } from "@rhea/history";

type ListOperation = Operation<AppendListOp, AppendListResult>;

/** Says what contradicts the final lists; undefined if nothing does. `finalOf` gives the list of a key. */
export function judgeListOrder(
  operations: readonly ListOperation[],
  finalOf: (key: string) => readonly string[],
): string | undefined {
  const byKey = new Map<string, ListOperation[]>();
  for (const operation of operations) {
    const ofKey = byKey.get(operation.op.key);
    if (ofKey === undefined) byKey.set(operation.op.key, [operation]);
    else ofKey.push(operation);
  }
  for (const [key, ofKey] of byKey) {
    const what = judgeKey(ofKey, finalOf(key));
    if (what !== undefined) return `key ${key}: ${what}`;
  }
  return undefined;
}

function judgeKey(operations: readonly ListOperation[], final: readonly string[]): string | undefined {
  const places = new Map(final.map((item, place) => [item, place]));
  if (places.size < final.length) return "an append took effect twice";
  const invokedAt = new Map<string, number>();
  for (const { op, invokedAt: at } of operations) if (op.kind === "append") invokedAt.set(op.item, at);
  /** For each length: when the youngest of so many items was asked for. */
  const youngest = [0];
  for (const [i, item] of final.entries()) youngest.push(Math.max(youngest[i] ?? 0, invokedAt.get(item) ?? 0));

  const events: { readonly at: number; readonly operation: ListOperation; readonly isReturn: boolean }[] = [];
  for (const operation of operations) {
    events.push({ at: operation.invokedAt, operation, isReturn: false });
    if (operation.outcome.kind === "ok") events.push({ at: operation.returnedAt, operation, isReturn: true });
  }
  events.sort((a, b) => a.at - b.at);
  /** The longest list that anybody had seen, or made, when each operation began. */
  const floors = new Map<number, number>();
  let seen = 0;
  for (const { operation, isReturn } of events) {
    const { id, op, outcome, returnedAt } = operation;
    if (!isReturn) {
      floors.set(id, seen);
      if (op.kind === "append" && outcome.kind === "failed" && places.has(op.item))
        return `${op.item} was refused for certain, and took effect`;
      continue;
    }
    const floor = floors.get(id) ?? 0;
    let length: number;
    if (op.kind === "append") {
      length = (places.get(op.item) ?? -1) + 1;
      if (length === 0) return `${op.item} was acknowledged, and is lost`;
      if (length <= floor) return `${op.item} stands at ${length}, though a list of ${floor} was seen before it`;
    } else {
      const items = outcome.kind === "ok" ? (outcome.result ?? []) : [];
      length = items.length;
      const wrong = items.findIndex((item, i) => final[i] !== item);
      if (wrong >= 0)
        return `a read has ${items[wrong] ?? ""} at ${wrong + 1}, the list has ${final[wrong] ?? "nothing"}`;
      if (length < floor) return `a stale read: it has ${length} items, ${floor} were seen before it began`;
    }
    if ((youngest[length] ?? 0) > returnedAt) return `an item of the first ${length} was seen before it was appended`;
    seen = Math.max(seen, length);
  }
  return undefined;
}
