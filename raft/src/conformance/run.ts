import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { parseDatadriven, TranscriptError, type Directive } from "./datadriven.js";
import { interactionHandler } from "./interaction.js";
import { membershipHandler } from "./membership.js";
import { quorumHandler } from "./quorum.js";

/** Is what a transcript exercises. */
type TranscriptKind = "quorum" | "confchange" | "interaction";

/** Is a case that did not come out as written. */
interface Difference {
  readonly line: number;
  readonly command: string;
  readonly expected: string;
  readonly actual: string;
}

/** Is the outcome of one file. */
export type FileReport = { readonly path: string } & (
  | {
      readonly kind: TranscriptKind;
      readonly passed: number;
      readonly total: number;
      /** Is the first case that came out differently. In a story every case depends on those before, so that the file ends there. */
      readonly failure?: Difference;
    }
  | {
      /** Says why the file is no transcript. */
      readonly refused: string;
    }
);

/** Is the outcome of all files below some directories. */
interface ConformanceReport {
  readonly files: readonly FileReport[];
  /** Is the paths that were asked for and do not exist, or hold no transcript. */
  readonly missing: readonly string[];
}

const HANDLERS: Record<TranscriptKind, () => (directive: Directive) => string> = {
  quorum: quorumHandler,
  confchange: membershipHandler,
  interaction: interactionHandler,
};
const KIND_OF_COMMAND: ReadonlyMap<string, TranscriptKind> = new Map([
  ["committed", "quorum"],
  ["vote", "quorum"],
  ["simple", "confchange"],
  ["enter-joint", "confchange"],
  ["leave-joint", "confchange"],
]);

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
    directives = readTranscript(path);
  } catch (error) {
    if (error instanceof TranscriptError) return { path, refused: error.message };
    throw error;
  }
  const kind = kindOf(path, directives);
  const handle = HANDLERS[kind]();
  const total = directives.length;
  let passed = 0;
  let failure: Difference | undefined;
  for (const directive of directives) {
    const { line, command, expected } = directive;
    const actual = outcomeOf(handle, directive);
    if (actual === expected) {
      passed++;
      continue;
    }
    failure ??= { line, command, expected, actual };
    if (kind !== "quorum") break;
  }
  return failure === undefined ? { path, kind, passed, total } : { path, kind, passed, total, failure };
}

/** Runs a directive; what stops the runner is reported as its output, which no transcript expects. */
function outcomeOf(handle: (directive: Directive) => string, directive: Directive): string {
  try {
    const text = handle(directive);
    return text === "" || text.endsWith("\n") ? text : `${text}\n`;
  } catch (error) {
    const why = error instanceof TranscriptError ? "cannot be run" : "the core stopped";
    return `${why}: ${error instanceof Error ? error.message : String(error)}\n`;
  }
}

/**
 * Reads a file of directives.
 * @throws TranscriptError when it is anything else.
 */
function readTranscript(path: string): Directive[] {
  const bytes = readFileSync(path);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new TranscriptError("not a text in UTF-8");
  }
  const directives = parseDatadriven(text);
  if (directives.length === 0) throw new TranscriptError("no directive in it");
  return directives;
}

function transcriptsAt(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const below = readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    const at = join(path, entry.name);
    if (entry.isDirectory()) return transcriptsAt(at);
    return entry.name.endsWith(".txt") ? [at] : [];
  });
  return below.sort();
}

/** Tells what a file exercises: from its commands, of which no two kinds share one, or by the folder it is in. */
function kindOf(path: string, directives: readonly Directive[]): TranscriptKind {
  for (const { command } of directives) {
    const kind = KIND_OF_COMMAND.get(command);
    if (kind !== undefined) return kind;
  }
  const folder = basename(dirname(path));
  return folder === "quorum" || folder === "confchange" ? folder : "interaction";
}
