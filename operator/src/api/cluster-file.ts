import { RheaError } from "@rhea/common";
import { LineCounter, isMap, isNode, isPair, isScalar, parseAllDocuments, visit, type Document, type Node } from "yaml";
import { CEL_RULES, type RheaCluster } from "./gen/rhea-cluster.js";
import { brokenRules } from "./rules.js";
import { schemaIssues, type SpecIssue } from "./schema-check.js";

/**
 * Reads a RheaCluster from YAML and checks it against the CRD: syntax, schema with unknown keys refused, and the CEL rules.
 *
 * @param file name for messages
 * @param previous the cluster as it was accepted last; with it the transition rules (immutable fields, sizes that only grow) hold too
 * @throws {RheaError} INVALID_CONFIG whose message has one line `file:line:column: what, and what is allowed` per mistake, in the
 *   order of the file; its details carry the first position
 */
export function parseClusterFile(file: string, text: string, previous?: RheaCluster): RheaCluster {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false });
  const [document, second] = [...documents];
  if (document === undefined) throw invalid(file, [{ line: 1, column: 1, message: "the file has no YAML document" }]);
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  if (document.errors.length > 0) {
    throw invalid(
      file,
      document.errors.map((error) => ({ ...place(error.pos[0]), message: error.message })),
    );
  }
  if (second !== undefined) {
    const start = second.contents?.range[0] ?? text.length;
    throw invalid(file, [
      { ...place(start), message: "a second document: the file describes exactly one RheaCluster" },
    ]);
  }
  const value = valueOf(document, (offset, message) => invalid(file, [{ ...place(offset), message }]));
  const issues = schemaIssues(value);
  const found = issues.length > 0 ? issues : ruleIssues(value as RheaCluster, previous);
  if (found.length === 0) return value as RheaCluster;
  throw invalid(
    file,
    found
      .map((issue) => ({ ...place(offsetOf(document, issue)), message: issue.message }))
      .sort((a, b) => a.line - b.line || a.column - b.column),
  );
}

function valueOf(document: Document.Parsed, refuse: (offset: number, message: string) => RheaError): unknown {
  visit(document, {
    Alias: (_key, alias) => {
      if (alias.resolve(document) !== undefined) return;
      throw refuse(alias.range?.[0] ?? 0, `*${alias.source} names no anchor before it: &${alias.source} is missing`);
    },
  });
  try {
    return document.toJS();
  } catch (cause) {
    throw refuse(0, `the document cannot be read: ${RheaError.from(cause).message}`); // aliases that multiply without bounds
  }
}

function ruleIssues(cluster: RheaCluster, previous: RheaCluster | undefined): readonly SpecIssue[] {
  return brokenRules(CEL_RULES, cluster, previous).map(({ path, fieldPath = "", message }) => ({
    path: path === "" ? ["metadata", "name"] : `${path}${fieldPath}`.split("."),
    atKey: false,
    message,
  }));
}

/** The offset of what an issue speaks of: its key or its value, or of the nearest thing around it that the file has. */
function offsetOf(document: Document.Parsed, { path, atKey }: SpecIssue): number {
  for (let length = path.length; length > 0; length--) {
    const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    if (!isMap(parent)) {
      if (isNode(parent) && parent.range) return parent.range[0];
      continue;
    }
    const pair = parent.items.find(
      (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(path[length - 1]),
    );
    if (pair === undefined) continue;
    const key = pair.key as Node;
    const value: unknown = pair.value;
    const pointAtKey = (atKey && length === path.length) || isMap(value);
    const node = !pointAtKey && isNode(value) && value.range ? value : key;
    return node.range?.[0] ?? 0;
  }
  return document.contents?.range[0] ?? 0;
}

function invalid(file: string, issues: readonly { line: number; column: number; message: string }[]): RheaError {
  const [first] = issues;
  return new RheaError(
    "INVALID_CONFIG",
    issues.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`).join("\n"),
    { details: { file, ...(first === undefined ? {} : { line: first.line, column: first.column }) } },
  );
}
