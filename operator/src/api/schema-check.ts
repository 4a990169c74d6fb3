import { Ajv, type ErrorObject } from "ajv";
import { API_VERSION, KIND, RHEA_CLUSTER_SCHEMA } from "./gen/rhea-cluster.js";
import { RHEA_STORE_SCHEMA, STORE_KIND } from "./gen/rhea-store.js";

/** Something wrong in a cluster, at a place given by the keys that lead to it. */
export interface SpecIssue {
  readonly path: readonly (string | number)[];
  /** Whether the key itself is wrong (so that a message points at it) and not its value. */
  readonly atKey: boolean;
  readonly message: string;
}

type Schema = Readonly<Record<string, unknown>>;

const SHOWN_CHARS = 60;

/** A whole date, time and offset, which is more than every runtime's Date.parse asks for. */
const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;

const metadata = (maxLength: number): Schema => ({
  type: "object",
  required: ["name"],
  additionalProperties: false,
  properties: {
    name: { type: "string", pattern: "^[a-z]([-a-z0-9]*[a-z0-9])?$", minLength: 1, maxLength },
    namespace: { type: "string" },
    labels: { type: "object", additionalProperties: { type: "string" } },
    annotations: { type: "object", additionalProperties: { type: "string" } },
  },
});

/**
 * A CRD's schema as an API server would apply it to a user's file with strict field validation: unknown keys are errors, and the
 * parts that the server owns are closed.
 */
function strictSchema(schema: Schema, kind: string, nameLength: number): Schema {
  const closed = close(schema);
  const { status: _status, ...properties } = closed["properties"] as Record<string, Schema>;
  return {
    ...closed,
    required: ["apiVersion", "kind", "metadata", "spec"],
    properties: {
      ...properties,
      apiVersion: { enum: [API_VERSION] },
      kind: { enum: [kind] },
      metadata: metadata(nameLength),
    },
  };
}

function close(node: Schema): Schema {
  const result: Record<string, unknown> = { ...node };
  const properties = node["properties"] as Record<string, Schema> | undefined;
  if (properties !== undefined) {
    result["properties"] = Object.fromEntries(Object.entries(properties).map(([key, child]) => [key, close(child)]));
    result["additionalProperties"] = false;
  }
  if (node["items"] !== undefined) result["items"] = close(node["items"] as Schema);
  if (node["x-kubernetes-int-or-string"] === true) {
    delete result["anyOf"];
    result["type"] = ["integer", "string"];
  }
  return result;
}

const ajv = new Ajv({
  strict: false,
  allErrors: true,
  verbose: true,
  formats: {
    "date-time": (text: string) => DATE_TIME.test(text) && !Number.isNaN(Date.parse(text)),
    int32: true,
    int64: true,
  },
});
const checkCluster = ajv.compile(strictSchema(RHEA_CLUSTER_SCHEMA, KIND, 40));
const checkStore = ajv.compile(strictSchema(RHEA_STORE_SCHEMA, STORE_KIND, 63));

/** Returns everything that the schema finds wrong in a parsed RheaCluster; empty if it is well formed. */
export function schemaIssues(cluster: unknown): readonly SpecIssue[] {
  return checkCluster(cluster) ? [] : (checkCluster.errors ?? []).map(toIssue);
}

/** Returns everything that the schema finds wrong in a RheaStore, as {@link schemaIssues} does in a RheaCluster. */
export function storeSchemaIssues(store: unknown): readonly SpecIssue[] {
  return checkStore(store) ? [] : (checkStore.errors ?? []).map(toIssue);
}

function toIssue(error: ErrorObject): SpecIssue {
  const path = pathOf(error.instancePath);
  const here = path.length === 0 ? "the document" : path.join(".");
  const params = error.params as Readonly<Record<string, unknown>>;
  const parent = error.parentSchema as Schema | undefined;
  const value = shorten(JSON.stringify(error.data));
  switch (error.keyword) {
    case "additionalProperties": {
      const key = String(params["additionalProperty"]);
      const allowed = Object.keys(parent?.["properties"] ?? {});
      return {
        path: [...path, key],
        atKey: true,
        message: `unknown key ${[...path, key].join(".")}: allowed here: ${allowed.join(", ")}`,
      };
    }
    case "required": {
      const key = String(params["missingProperty"]);
      return { path, atKey: true, message: `${[...path, key].join(".")} is missing` };
    }
    case "enum": {
      const allowed = (params["allowedValues"] as readonly unknown[]).map(String).join(", ");
      return { path, atKey: false, message: `${here} is ${value}: allowed values: ${allowed}` };
    }
    case "type":
      return { path, atKey: false, message: `${here} is ${value}: wanted ${wanted(String(params["type"]), parent)}` };
    case "minimum":
    case "maximum":
      return { path, atKey: false, message: `${here} is ${value}: wanted ${wanted("number", parent)}` };
    case "format":
      return { path, atKey: false, message: `${here} is ${value}: wanted a time such as 2030-01-31T12:00:00Z` };
    case "pattern":
      return { path, atKey: false, message: `${here} is ${value}: it must match ${String(params["pattern"])}` };
    default:
      return { path, atKey: false, message: `${here} is ${value}: it ${error.message ?? "is wrong"}` };
  }
}

/** A message names a value; it does not repeat a whole document. */
function shorten(text: string): string {
  return text.length <= SHOWN_CHARS ? text : `${text.slice(0, SHOWN_CHARS)}…`;
}

function wanted(type: string, schema: Schema | undefined): string {
  const words: Readonly<Record<string, string>> = {
    object: "a map of keys",
    integer: "a whole number",
    boolean: "true or false",
    string: "text",
    array: "a list",
    "integer,string": "a whole number or text",
  };
  const low = schema?.["minimum"];
  const high = schema?.["maximum"];
  const word = schema?.["type"] === "integer" ? "a whole number" : (words[type] ?? `a ${type}`);
  if (typeof low === "number" && typeof high === "number") return `${word} from ${low} to ${high}`;
  const allowed = schema?.["enum"];
  if (Array.isArray(allowed)) return `one of ${allowed.map(String).join(", ")}`;
  return word;
}

function pathOf(pointer: string): readonly (string | number)[] {
  if (pointer === "") return [];
  return pointer
    .slice(1)
    .split("/")
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}
