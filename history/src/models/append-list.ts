import type { Model, Step } from "../model.js";

/** An operation on a key that holds a list which only grows. */
export type AppendListOp =
  | { readonly kind: "append"; readonly key: string; readonly item: string }
  | { readonly kind: "read"; readonly key: string };

/** What the operation answered: `read` the whole list (empty when absent), `append` null. */
export type AppendListResult = readonly string[] | null;

/** A list as its last item and the list before it: lists that share a beginning share the memory, and equal lists are one object. */
interface List {
  readonly id: number;
  readonly length: number;
  readonly last: string;
  readonly before: List | undefined;
  readonly longer: Map<string, List>;
}

/**
 * Creates a model of append and read. It sees more than a register does: a lost, doubled or reordered append stays visible for ever.
 * Every model numbers its own lists: use a new one for each check, it is never emptied.
 */
export function appendListModel(): Model<AppendListOp, AppendListResult, List> {
  let lists = 0;
  const make = (before: List | undefined, last: string): List => ({
    id: lists++,
    length: before === undefined ? 0 : before.length + 1,
    last,
    before,
    longer: new Map(),
  });
  const append = (list: List, item: string): List => {
    const known = list.longer.get(item);
    if (known !== undefined) return known;
    const made = make(list, item);
    list.longer.set(item, made);
    return made;
  };

  return {
    name: "append list",
    keyOf: (op) => op.key,
    initial: make(undefined, ""),
    step(list, op, outcome): Step<List> {
      if (op.kind === "append") return { ok: true, state: append(list, op.item) };
      if (outcome === undefined || holds(list, outcome.result ?? [])) return { ok: true, state: list };
      return { ok: false, reason: `would answer ${show(itemsOf(list))}` };
    },
    isReadOnly: (op) => op.kind === "read",
    identify: (list) => list.id,
    describe(op, outcome) {
      if (op.kind === "append")
        return `append ${JSON.stringify(op.item)} -> ${outcome === undefined ? "open" : "done"}`;
      return `read -> ${outcome === undefined ? "open" : show(outcome.result ?? [])}`;
    },
    describeState: (list) => show(itemsOf(list)),
  };
}

function holds(list: List, items: readonly string[]): boolean {
  if (list.length !== items.length) return false;
  let at = list;
  for (let index = items.length - 1; index >= 0; index--) {
    if (at.last !== items[index] || at.before === undefined) return false;
    at = at.before;
  }
  return true;
}

function itemsOf(list: List): string[] {
  const items: string[] = [];
  for (let at = list; at.before !== undefined; at = at.before) items.push(at.last);
  return items.reverse();
}

function show(items: readonly string[]): string {
  const shown = items.slice(-6).join(" ");
  return items.length > 6 ? `[${items.length} items, last: ${shown}]` : `[${shown}]`;
}
