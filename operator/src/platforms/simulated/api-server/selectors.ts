/** Label and field selectors, as far as the operator uses them. */
import { isFields, type StoredObject } from "./json.js";

/** Says whether an object is meant. */
export type Selector = (object: StoredObject) => boolean;

/** Compiles selectors; absent ones mean every object. Throws on syntax that is not known here. */
export function compileSelector(options: {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}): Selector {
  const { namespace, labelSelector = "", fieldSelector = "" } = options;
  const tests: Selector[] = [];
  if (namespace !== undefined && namespace !== "") tests.push(({ metadata }) => metadata.namespace === namespace);
  for (const term of splitTerms(labelSelector)) tests.push(labelTest(term));
  for (const term of fieldSelector.split(",").filter(Boolean)) tests.push(fieldTest(term));
  return (object) => tests.every((test) => test(object));
}

/** Splits at commas outside of parentheses. */
function splitTerms(selector: string): string[] {
  return selector
    .split(/,(?![^(]*\))/)
    .map((term) => term.trim())
    .filter(Boolean);
}

function labelTest(term: string): Selector {
  const labelOf = (object: StoredObject, name: string): string | undefined => object.metadata.labels?.[name];
  const set = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(term);
  if (set !== null) {
    const [, name = "", operator, list = ""] = set;
    const values = new Set(list.split(",").map((value) => value.trim()));
    return (object) => values.has(labelOf(object, name) ?? "\0") === (operator === "in");
  }
  const equality = /^([^\s!=]+)\s*(==|=|!=)\s*(\S*)$/.exec(term);
  if (equality !== null) {
    const [, name = "", operator, value] = equality;
    return (object) => (labelOf(object, name) === value) === (operator !== "!=");
  }
  if (/^!?[\w./-]+$/.test(term)) {
    const isAbsent = term.startsWith("!");
    const name = isAbsent ? term.slice(1) : term;
    return (object) => (labelOf(object, name) === undefined) === isAbsent;
  }
  throw new Error(`label selector "${term}" is not understood by the simulated API server`);
}

function fieldTest(term: string): Selector {
  const match = /^([\w.]+)(==|=|!=)(.*)$/.exec(term);
  if (match === null) throw new Error(`field selector "${term}" is not understood by the simulated API server`);
  const [, path = "", operator, wanted = ""] = match;
  return (object) => {
    let value: unknown = object;
    for (const key of path.split(".")) value = isFields(value) ? value[key] : undefined;
    return (value === wanted || (value === undefined && wanted === "")) === (operator !== "!=");
  };
}
