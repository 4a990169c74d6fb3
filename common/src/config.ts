/**
 * Configuration of a process: one name per key in YAML (`raft: {tickMs: 100}`), flag (`--raft.tick-ms 100`) and
 * environment (`RHEA_RAFT_TICK_MS`). Flags win over the environment, that over the file, that over the default.
 */
import { createRequire } from "node:module";
import type * as Yaml from "yaml";
import { RheaError } from "./errors.js";

/** Type, default and bounds of one key. */
export interface ConfigKey {
  /** `strings`: a YAML list or a comma list. `map`: a YAML map of strings, or `a=b,c=d`. */
  readonly type: "integer" | "string" | "boolean" | "strings" | "map";
  readonly default?: ConfigValue;
  readonly required?: boolean;
  /** Least and greatest integer. */
  readonly min?: number;
  readonly max?: number;
  /** The allowed strings. */
  readonly values?: readonly string[];
  /** What strings must look like; `strings`: each of them. Default: anything. */
  readonly format?: "address" | "name";
  /** What it is, with its unit. */
  readonly doc: string;
}

/** What a key can hold. */
export type ConfigValue = number | string | boolean | readonly string[] | Readonly<Record<string, string>>;

/** All keys of a process by dotted name. */
export type ConfigSchema = Readonly<Record<string, ConfigKey>>;

interface TypeOf {
  integer: number;
  string: string;
  boolean: boolean;
  strings: readonly string[];
  map: Readonly<Record<string, string>>;
}

/** The values by dotted name; a key without default that is not required may be undefined. */
export type ConfigOf<S extends ConfigSchema> = {
  readonly [K in keyof S]: S[K] extends { readonly required: true } | { readonly default: ConfigValue }
    ? TypeOf[S[K]["type"]]
    : TypeOf[S[K]["type"]] | undefined;
};

/** Where values come from. */
export interface ConfigSources {
  readonly file?: { readonly name: string; readonly text: string };
  /** Arguments after the program's name, without `--config FILE`. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** `raft.tickMs` -> `--raft.tick-ms`. */
export function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `raft.tickMs` -> `RHEA_RAFT_TICK_MS`. */
export function envName(key: string): string {
  return `RHEA_${key.replace(/[A-Z]/g, "_$&").replaceAll(".", "_").toUpperCase()}`;
}

function refuse(message: string, position: { line?: number; column?: number; file?: string } = {}): never {
  throw new RheaError("INVALID_CONFIG", message, { details: position });
}

/** What a `format` accepts, and its description. */
const FORMATS = {
  address: {
    accepts: (text: string) =>
      /^[^\s,]+:\d{1,5}$/.test(text) && Number(text.slice(text.lastIndexOf(":") + 1)) <= 65_535,
    words: "host:port",
  },
  name: {
    accepts: (text: string) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(text),
    words: "a name of letters, digits, dots, dashes and underscores, 63 characters at most",
  },
} as const;

function isWellFormed(key: ConfigKey, text: unknown): text is string {
  return typeof text === "string" && (key.format === undefined || FORMATS[key.format].accepts(text));
}

function describe(key: ConfigKey): string {
  if (key.values !== undefined) return `one of ${key.values.join(", ")}`;
  if (key.type === "integer")
    return `a whole number in ${String(key.min ?? 0)}..${String(key.max ?? Number.MAX_SAFE_INTEGER)}`;
  const words = key.format === undefined ? "string" : FORMATS[key.format].words;
  if (key.type === "strings") return `a list of ${words}${key.format === undefined ? "s" : " entries"}`;
  if (key.type === "map") return "a map of strings";
  if (key.type === "string" && key.format !== undefined) return words;
  return `a ${key.type}`;
}

/** Checks a value against its key; undefined if it does not fit. */
function conform(key: ConfigKey, value: unknown): ConfigValue | undefined {
  switch (key.type) {
    case "integer":
      return Number.isSafeInteger(value) &&
        Number(value) >= (key.min ?? 0) &&
        Number(value) <= (key.max ?? Number.MAX_SAFE_INTEGER)
        ? Number(value)
        : undefined;
    case "boolean":
      return typeof value === "boolean" ? value : undefined;
    case "string":
      return isWellFormed(key, value) && (key.values?.includes(value) ?? true) ? value : undefined;
    case "strings":
      return Array.isArray(value) && value.every((item) => isWellFormed(key, item)) ? value : undefined;
    case "map":
      return isStringMap(value) ? value : undefined;
  }
}

function isStringMap(value: unknown): value is Record<string, string> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((item) => typeof item === "string")
  );
}

/** Reads a flag's or variable's text. */
function parseText(key: ConfigKey, text: string): unknown {
  switch (key.type) {
    case "integer":
      return /^-?\d+$/.test(text) ? Number(text) : text;
    case "boolean":
      return text === "true" ? true : text === "false" ? false : text;
    case "string":
      return text;
    case "strings":
      return text === "" ? [] : text.split(",").map((item) => item.trim());
    case "map":
      return Object.fromEntries(
        text === "" ? [] : text.split(",").map((item) => item.split("=", 2).map((part) => part.trim())),
      );
  }
}

function readText(schema: ConfigSchema, name: string, text: string, from: string): ConfigValue {
  const key = schema[name];
  if (key === undefined) throw new RheaError("INTERNAL", `no configuration key ${name}`);
  const value = conform(key, parseText(key, text));
  return value ?? refuse(`${from}: "${text}" is not ${describe(key)} (${key.doc})`);
}

/** Values of the YAML file by dotted key. */
function readFile(schema: ConfigSchema, file: { name: string; text: string }): Map<string, ConfigValue> {
  // Loaded when a file is read: command line tools have none and start faster.
  const { isMap, isScalar, isSeq, LineCounter, parseDocument } = createRequire(import.meta.url)("yaml") as typeof Yaml;
  const lines = new LineCounter();
  const document = parseDocument(file.text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): { line: number; column: number; file: string } => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col, file: file.name };
  };
  const fail = (offset: number, message: string): never => {
    const position = at(offset);
    return refuse(`${file.name}:${String(position.line)}:${String(position.column)}: ${message}`, position);
  };
  const broken = document.errors[0];
  if (broken !== undefined) fail(broken.pos[0], broken.message.split("\n")[0] ?? "not YAML");
  const found = new Map<string, ConfigValue>();
  const visit = (node: Yaml.Node | null, prefix: string): void => {
    if (!isMap(node)) {
      if (node !== null)
        fail(node.range?.[0] ?? 0, `expected a map of keys${prefix === "" ? "" : ` under "${prefix}"`}`);
      return;
    }
    for (const pair of node.items) {
      const keyNode = pair.key as Yaml.Node;
      const name = `${prefix}${prefix === "" ? "" : "."}${String(isScalar(keyNode) ? keyNode.value : "?")}`;
      const offset = keyNode.range?.[0] ?? 0;
      const key = schema[name];
      const valueNode = pair.value as Yaml.Node | null;
      if (key !== undefined) {
        const raw: unknown =
          isScalar(valueNode) || isSeq(valueNode) || isMap(valueNode) ? valueNode.toJS(document) : null;
        const value = conform(key, raw);
        if (value === undefined)
          fail(valueNode?.range?.[0] ?? offset, `"${name}" must be ${describe(key)}: ${key.doc}`);
        else found.set(name, value);
      } else if (Object.keys(schema).some((known) => known.startsWith(`${name}.`))) {
        visit(valueNode, name);
      } else {
        fail(offset, `unknown key "${name}"; known: ${Object.keys(schema).join(", ")}`);
      }
    }
  };
  visit(document.contents, "");
  return found;
}

/** Values of the flags by dotted key: `--a.b-c value`, `--a.b-c=value`, and `--flag` alone for a boolean. */
function readFlags(schema: ConfigSchema, argv: readonly string[]): Map<string, ConfigValue> {
  const byFlag = new Map(Object.keys(schema).map((name) => [flagName(name), name]));
  const found = new Map<string, ConfigValue>();
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] ?? "";
    const [flag = "", inline] = argument.split(/=(.*)/s, 2);
    const name = byFlag.get(flag);
    if (name === undefined) refuse(`unknown argument "${argument}"; known: --config, ${[...byFlag.keys()].join(", ")}`);
    const next = argv[i + 1];
    if (inline !== undefined) found.set(name, readText(schema, name, inline, flag));
    else if (schema[name]?.type === "boolean" && next !== "true" && next !== "false") found.set(name, true);
    else if (next === undefined) refuse(`${flag} needs a value`);
    else {
      found.set(name, readText(schema, name, next, flag));
      i++;
    }
  }
  return found;
}

/**
 * Loads a process's configuration. Throws INVALID_CONFIG naming file, line and column (or the flag or variable), what
 * is wrong and what is allowed.
 */
export function loadConfig<S extends ConfigSchema>(schema: S, sources: ConfigSources): ConfigOf<S> {
  const file = sources.file === undefined ? new Map<string, ConfigValue>() : readFile(schema, sources.file);
  const flags = readFlags(schema, sources.argv);
  const result: Record<string, ConfigValue | undefined> = {};
  for (const [name, key] of Object.entries(schema)) {
    const variable = envName(name);
    const text = sources.env[variable];
    const fromEnv = text === undefined ? undefined : readText(schema, name, text, variable);
    const value = flags.get(name) ?? fromEnv ?? file.get(name) ?? key.default;
    if (value === undefined && key.required === true) {
      refuse(`"${name}" is missing: set it in the file, with ${flagName(name)} or with ${variable} (${key.doc})`);
    }
    result[name] = value;
  }
  return Object.freeze(result) as ConfigOf<S>;
}
