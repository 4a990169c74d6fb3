import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { parseDatadriven, type Directive } from "./datadriven.js";
import { interactionHandler } from "./interaction.js";
import { membershipHandler } from "./membership.js";
import { quorumHandler } from "./quorum.js";

/** Is what a transcript exercises. */
export type TranscriptKind = "quorum" | "confchange" | "interaction";

/** Is the outcome of one file. */
export interface FileReport {
  readonly path: string;
  readonly kind: TranscriptKind;
  readonly passed: number;
  readonly total: number;
  /** Is the first case that came out differently; the file ends there, because what follows depends on it. */
  readonly failure?: { readonly directive: Directive; readonly actual: string };
}

/** Is the outcome of all files below some directories. */
export interface ConformanceReport {
  readonly files: readonly FileReport[];
  /** Is the paths that were asked for and do not exist. */
  readonly missing: readonly string[];
}

const HANDLERS: Record<TranscriptKind, () => (directive: Directive) => string> = {
  quorum: quorumHandler,
  confchange: membershipHandler,
  interaction: interactionHandler,
};

/** Runs all transcripts (*.txt) below the given files and directories, in the order of their names. */
export function runConformance(paths: readonly string[]): ConformanceReport {
  const missing = paths.filter((path) => !existsSync(path));
  const files = paths.filter((path) => existsSync(path)).flatMap(transcriptsBelow);
  return { files: files.map(runFile), missing };
}

/** Runs one transcript. */
export function runFile(path: string): FileReport {
  const directives = parseDatadriven(readFileSync(path, "utf8"));
  const kind = kindOf(path, directives);
  const handle = HANDLERS[kind]();
  let passed = 0;
  for (const directive of directives) {
    const actual = outcome(handle, directive);
    if (actual !== directive.expected)
      return { path, kind, passed, total: directives.length, failure: { directive, actual } };
    passed++;
  }
  return { path, kind, passed, total: directives.length };
}

function outcome(handle: (directive: Directive) => string, directive: Directive): string {
  const text = handle(directive);
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}

function transcriptsBelow(path: string): string[] {
  if (path.endsWith(".txt")) return [path];
  const entries = readdirSync(path, { withFileTypes: true });
  const below = entries.flatMap((entry) => {
    if (entry.isDirectory()) return transcriptsBelow(join(path, entry.name));
    return entry.name.endsWith(".txt") ? [join(path, entry.name)] : [];
  });
  return below.sort();
}

function kindOf(path: string, directives: readonly Directive[]): TranscriptKind {
  const folder = basename(dirname(path));
  if (folder === "quorum" || folder === "confchange" || folder === "interaction") return folder;
  const commands = new Set(directives.map(({ command }) => command));
  if (commands.has("committed") || commands.has("vote")) return "quorum";
  return commands.has("simple") || commands.has("enter-joint") ? "confchange" : "interaction";
}
