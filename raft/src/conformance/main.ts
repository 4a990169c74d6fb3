import { basename, dirname, join } from "node:path";
import { runConformance, type FileReport, type TranscriptKind } from "./run.js";

/** Prints one line per transcript and the totals, with the first difference of each failure when asked; returns the exit code. */
function main(args: readonly string[], print: (line: string) => void): number {
  const verbose = args.includes("-v");
  const paths = args.filter((arg) => arg !== "-v");
  if (paths.length === 0) {
    print("usage: conformance [-v] DIR...   runs the datadriven transcripts (*.txt) below the directories");
    return 2;
  }
  const { files, missing } = runConformance(paths);
  for (const path of missing) print(`skipped ${path}: no such file or directory`);
  for (const file of files) {
    print(`${file.failure === undefined ? "ok  " : "FAIL"} ${shortName(file.path)} ${file.passed}/${file.total}`);
    if (verbose && file.failure !== undefined) print(difference(file));
  }
  for (const kind of ["quorum", "confchange"] as const) {
    const own = files.filter((file) => file.kind === kind);
    if (own.length > 0) print(`${kind} ${sum(own, (file) => file.passed)}/${sum(own, (file) => file.total)}`);
  }
  const interactions = files.filter((file) => file.kind === ("interaction" satisfies TranscriptKind));
  if (interactions.length > 0) {
    const passed = interactions.filter((file) => file.failure === undefined).length;
    print(`interaction ${passed}/${interactions.length} files`);
  }
  return files.some((file) => file.failure !== undefined) ? 1 : 0;
}

function difference({ path, failure }: FileReport): string {
  if (failure === undefined) return "";
  const { directive, actual } = failure;
  const expectedRows = directive.expected.split("\n");
  const actualRows = actual.split("\n");
  const at = expectedRows.findIndex((row, i) => row !== actualRows[i]);
  const row = at < 0 ? expectedRows.length : at;
  const context = expectedRows.slice(Math.max(0, row - 3), row).map((text) => `       ${text}`);
  const shown = [`     - ${expectedRows[row] ?? "<end>"}`, `     + ${actualRows[row] ?? "<end>"}`];
  return [
    `     ${path}:${directive.line} ${directive.command}, row ${row + 1} of the output`,
    ...context,
    ...shown,
  ].join("\n");
}

function shortName(path: string): string {
  return join(basename(dirname(path)), basename(path));
}

function sum(files: readonly FileReport[], of: (file: FileReport) => number): number {
  return files.reduce((total, file) => total + of(file), 0);
}

process.exitCode = main(process.argv.slice(2), (line) => {
  process.stdout.write(`${line}\n`);
});
