import type { Model, Step } from "../model.js";

/** An operation on one key that holds a value or nothing. `null` is "absent", everywhere. */
export type RegisterOp =
  | { readonly kind: "get"; readonly key: string }
  | { readonly kind: "put"; readonly key: string; readonly value: string }
  | { readonly kind: "delete"; readonly key: string }
  | { readonly kind: "getAndPut"; readonly key: string; readonly value: string }
  | { readonly kind: "putIfAbsent"; readonly key: string; readonly value: string }
  | {
      readonly kind: "cas";
      readonly key: string;
      readonly expected: string | null;
      /** `null` deletes. */
      readonly value: string | null;
    };

/**
 * What the operation answered: `get`, `getAndPut` and `putIfAbsent` the value held before (null: absent), `cas` whether it was applied,
 * `put` and `delete` always null.
 */
export type RegisterResult = string | boolean | null;

type Held = string | null;

/** Models put, get, delete, getAndPut, putIfAbsent and compare-and-put on independent keys. */
export const registerModel: Model<RegisterOp, RegisterResult, Held> = {
  name: "register",
  keyOf: (op) => op.key,
  initial: null,
  step(held, op, outcome): Step<Held> {
    const { result, state } = run(held, op);
    if (outcome !== undefined && outcome.result !== result) {
      return { ok: false, reason: `would answer ${show(result)}` };
    }
    return { ok: true, state };
  },
  isReadOnly(op, { result }) {
    if (op.kind === "get") return true;
    if (op.kind === "putIfAbsent") return result !== null;
    return op.kind === "cas" && result === false;
  },
  // No value can be the number.
  identify: (held) => held ?? 0,
  describe(op, outcome) {
    const answer = outcome === undefined ? "open" : show(outcome.result);
    switch (op.kind) {
      case "get":
      case "delete":
        return `${op.kind} -> ${answer}`;
      case "put":
      case "getAndPut":
      case "putIfAbsent":
        return `${op.kind} ${show(op.value)} -> ${answer}`;
      case "cas":
        return `cas ${show(op.expected)} => ${show(op.value)} -> ${answer}`;
    }
  },
  describeState: show,
};

function run(held: Held, op: RegisterOp): { result: RegisterResult; state: Held } {
  switch (op.kind) {
    case "get":
      return { result: held, state: held };
    case "put":
      return { result: null, state: op.value };
    case "delete":
      return { result: null, state: null };
    case "getAndPut":
      return { result: held, state: op.value };
    case "putIfAbsent":
      return { result: held, state: held ?? op.value };
    case "cas":
      return held === op.expected ? { result: true, state: op.value } : { result: false, state: held };
  }
}

function show(value: RegisterResult): string {
  if (value === null) return "nothing";
  return typeof value === "boolean" ? String(value) : JSON.stringify(value);
}
