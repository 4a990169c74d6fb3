/**
 * Server-side apply on plain JSON: who owns which field, what an apply changes, removes and conflicts with. Follows the API server
 * (KEP-555) with lists keyed by the table below instead of each kind's schema; every list that is not in it is replaced as a whole.
 */
import { copy, isFields, isSame, type Fields } from "./json.js";

/** The fields that a manager owns: the shape of `managedFields`. A leaf has no children; an item of a keyed list is `k:<its key>`. */
export interface OwnedFields {
  readonly children: Map<string, OwnedFields>;
}

/** Field names of lists whose items are merged by key, and the keys. */
const LIST_KEYS: Readonly<Record<string, readonly string[]>> = {
  conditions: ["type"],
  list: ["name"],
  stores: ["name"],
  containers: ["name"],
  initContainers: ["name"],
  volumes: ["name"],
  env: ["name"],
  volumeMounts: ["mountPath"],
  imagePullSecrets: ["name"],
  ownerReferences: ["uid"],
  topologySpreadConstraints: ["topologyKey", "whenUnsatisfiable"],
};

/** Objects that are replaced as a whole, as lists without keys are (`+mapType=atomic`). */
const ATOMIC = new Set([
  "selector",
  "podSelector",
  "namespaceSelector",
  "labelSelector",
  "nodeSelector",
  "claimRef",
  "fieldRef",
]);

/** `ports` of a Service are keyed by port, those of a container by containerPort. */
function keysOf(field: string, list: readonly unknown[]): readonly string[] | undefined {
  if (field === "ports") {
    const [first] = list;
    if (!isFields(first)) return undefined;
    if (first["containerPort"] !== undefined) return ["containerPort"];
    return first["port"] === undefined ? undefined : ["port"];
  }
  return Object.hasOwn(LIST_KEYS, field) ? LIST_KEYS[field] : undefined;
}

function keyOf(item: unknown, keys: readonly string[]): string {
  return isFields(item) ? `k:${keys.map((key) => String(item[key])).join("/")}` : `k:${String(item)}`;
}

/** No fields. */
export function nothingOwned(): OwnedFields {
  return { children: new Map() };
}

/** Lists the fields of a value. */
export function fieldsOf(value: unknown, field = ""): OwnedFields {
  const owned = nothingOwned();
  if (ATOMIC.has(field)) return owned;
  if (isFields(value)) {
    for (const [key, inner] of Object.entries(value)) {
      if (inner !== undefined) owned.children.set(key, fieldsOf(inner, key));
    }
  } else if (Array.isArray(value)) {
    const list: readonly unknown[] = value;
    const keys = keysOf(field, list);
    if (keys !== undefined) for (const item of list) owned.children.set(keyOf(item, keys), fieldsOf(item));
  }
  return owned;
}

/** What an apply would do. */
export interface Applied {
  readonly value: Fields;
  /** Paths that another manager owns with another value. They have been taken over in `value`. */
  readonly conflicts: readonly string[];
}

/**
 * Applies `wanted` to `live`. `before`: what this manager applied last time; what is in it and not in `wanted` goes, unless another
 * manager owns it. `others`: what other managers own; on a conflict the field is taken out of theirs.
 */
export function applyFields(
  live: Fields,
  wanted: Fields,
  before: OwnedFields,
  others: readonly OwnedFields[],
): Applied {
  const conflicts: string[] = [];
  const value = mergeObject(live, wanted, before, others, "", conflicts);
  return { value, conflicts };
}

function childrenOf(nodes: readonly OwnedFields[], key: string): OwnedFields[] {
  const found: OwnedFields[] = [];
  for (const node of nodes) {
    const child = node.children.get(key);
    if (child !== undefined) found.push(child);
  }
  return found;
}

function mergeObject(
  live: Fields,
  wanted: Fields,
  before: OwnedFields,
  others: readonly OwnedFields[],
  path: string,
  conflicts: string[],
): Fields {
  const result: Record<string, unknown> = { ...live };
  for (const [key, value] of Object.entries(wanted)) {
    if (value === undefined) continue;
    const owned = before.children.get(key) ?? nothingOwned();
    result[key] = mergeValue(key, live[key], value, owned, childrenOf(others, key), `${path}.${key}`, conflicts);
    if (conflicts.at(-1) === `${path}.${key}`) for (const other of others) other.children.delete(key);
  }
  for (const [key, owned] of before.children) {
    if (wanted[key] !== undefined || live[key] === undefined) continue;
    const rest = without(key, live[key], owned, childrenOf(others, key));
    result[key] = rest;
  }
  return result;
}

function mergeValue(
  field: string,
  live: unknown,
  wanted: unknown,
  before: OwnedFields,
  others: readonly OwnedFields[],
  path: string,
  conflicts: string[],
): unknown {
  if (isFields(wanted) && !ATOMIC.has(field))
    return mergeObject(isFields(live) ? live : {}, wanted, before, others, path, conflicts);
  if (Array.isArray(wanted)) {
    const list: readonly unknown[] = wanted;
    const keys = keysOf(field, list);
    if (keys !== undefined && (live === undefined || Array.isArray(live))) {
      return mergeList((live ?? []) as readonly unknown[], list, keys, before, others, path, conflicts);
    }
  }
  if (others.length > 0 && live !== undefined && !isSame(live, wanted)) conflicts.push(path);
  return copy(wanted);
}

function mergeList(
  live: readonly unknown[],
  wanted: readonly unknown[],
  keys: readonly string[],
  before: OwnedFields,
  others: readonly OwnedFields[],
  path: string,
  conflicts: string[],
): unknown[] {
  const wantedByKey = new Map(wanted.map((item) => [keyOf(item, keys), item]));
  const result: unknown[] = [];
  for (const item of live) {
    const key = keyOf(item, keys);
    const mine = wantedByKey.get(key);
    const owned = before.children.get(key);
    const theirs = childrenOf(others, key);
    if (mine !== undefined) {
      result.push(mergeValue("", item, mine, owned ?? nothingOwned(), theirs, `${path}[${key}]`, conflicts));
      wantedByKey.delete(key);
    } else if (owned === undefined || theirs.length > 0) result.push(item);
  }
  for (const item of wantedByKey.values()) result.push(copy(item));
  return result;
}

/** What is left of a value when its manager lets go of it: what others own, and parts that nobody owned. */
function without(field: string, live: unknown, owned: OwnedFields, others: readonly OwnedFields[]): unknown {
  if (owned.children.size === 0) return others.length > 0 ? live : undefined;
  if (Array.isArray(live)) {
    const list: readonly unknown[] = live;
    const keys = keysOf(field, list) ?? [];
    const rest = list.filter((item) => {
      const key = keyOf(item, keys);
      return !owned.children.has(key) || childrenOf(others, key).length > 0;
    });
    return rest.length === 0 ? undefined : rest;
  }
  if (!isFields(live)) return undefined;
  const rest: Record<string, unknown> = { ...live };
  for (const [key, child] of owned.children) {
    const inner = without(key, live[key], child, childrenOf(others, key));
    rest[key] = inner;
  }
  return Object.values(rest).every((inner) => inner === undefined) ? undefined : rest;
}

/** Takes the fields that changed from `old` to `now` out of what others own: who wrote them last owns them. */
export function giveUpChanged(owned: OwnedFields, old: unknown, now: unknown, field = ""): void {
  for (const [key, child] of [...owned.children]) {
    const [was, is] = [part(old, key, field), part(now, key, field)];
    if (isSame(was, is)) continue;
    if (child.children.size === 0) owned.children.delete(key);
    else giveUpChanged(child, was, is, key);
  }
}

function part(value: unknown, key: string, field: string): unknown {
  if (isFields(value)) return value[key];
  if (!Array.isArray(value)) return undefined;
  const list: readonly unknown[] = value;
  const keys = keysOf(field, list) ?? [];
  return list.find((item) => keyOf(item, keys) === key);
}

/** Lists the fields of `now` that differ from `old`; undefined if there are none. Whoever wrote them owns them. */
export function changedFields(old: unknown, now: unknown, field = ""): OwnedFields | undefined {
  if (now === undefined || isSame(old, now)) return undefined;
  const owned = nothingOwned();
  for (const key of fieldsOf(now, field).children.keys()) {
    const name = key.startsWith("k:") ? "" : key;
    const changed = changedFields(part(old, key, field), part(now, key, field), name);
    if (changed !== undefined) owned.children.set(key, changed);
  }
  return owned;
}

/** Adds fields to what somebody owns. */
export function addOwned(owned: OwnedFields, more: OwnedFields): void {
  for (const [key, child] of more.children) {
    const mine = owned.children.get(key);
    if (mine === undefined) owned.children.set(key, child);
    else addOwned(mine, child);
  }
}
