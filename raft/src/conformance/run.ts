import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { parseDatadriven, type Directive } from "./datadriven.js";
import { interactionHandler } from "./interaction.js";
import { membershipHandler } from "./membership.js";
import { quorumHandler } from "./quorum.js";

/** Is what a transcript exercises. */
type TranscriptKind = "quorum" | "confchange" | "interaction";

/** Is the outcome of one file. */
export interface FileReport {
  readonly path: string;
  readonly kind: TranscriptKind;
  readonly passed: number;
  readonly total: number;
  /** Is the first case that came out differently; the file ends there, because what follows depends on it. */
  readonly failure?: {
    readonly line: number;
    readonly command: string;
    readonly expected: string;
    readonly actual: string;
  };
}

/** Is the outcome of all files below some directories. */
interface ConformanceReport {
  readonly files: readonly FileReport[];
  /** Is the paths that were asked for and hold no transcript. */
  readonly missing: readonly string[];
}

const HANDLERS: Record<TranscriptKind, () => (directive: Directive) => string> = {
  quorum: quorumHandler,
  confchange: membershipHandler,
  interaction: interactionHandler,
};

/** Runs the given files, and all transcripts (*.txt) below the given directories in the order of their names. */
export function runConformance(paths: readonly string[]): ConformanceReport {
  const found = paths.map((path) => ({ path, files: existsSync(path) ? transcriptsAt(path) : [] }));
  return {
    files: found.flatMap(({ files }) => files.map(runFile)),
    missing: found.filter(({ files }) => files.length === 0).map(({ path }) => path),
  };
}

function runFile(path: string): FileReport {
  let directives: Directive[];
  try {
    directives = parseDatadriven(readFileSync(path, "utf8"));
  } catch (error) {
    const actual = `not run: ${error instanceof Error ? error.message : String(error)}`;
    return {
      path,
      kind: kindOf(path, []),
      passed: 0,
      total: 0,
      failure: { line: 1, command: "", expected: "", actual },
    };
  }
  const kind = kindOf(path, directives);
  const handle = HANDLERS[kind]();
  let passed = 0;
  for (const directive of directives) {
    const { line, command, expected } = directive;
    const text = handle(directive);
    const actual = text === "" || text.endsWith("\n") ? text : `${text}\n`;
    if (actual !== expected) {
      return { path, kind, passed, total: directives.length, failure: { line, command, expected, actual } };
    }
    passed++;
  }
  return { path, kind, passed, total: directives.length };
}

function transcriptsAt(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const below = readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    if (entry.isDirectory()) return transcriptsAt(join(path, entry.name));
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
