import { basename, dirname, join } from "node:path";
import { OWN_TRANSCRIPTS, publishedTranscripts, runConformance, type FileReport } from "./index.js";

/** Prints one line per transcript and the totals, with the first difference of each failure when asked; returns the exit code. */
function main(args: readonly string[], print: (line: string) => void): number {
  const verbose = args.includes("-v");
  const paths = args.filter((arg) => arg !== "-v");
  const { files, missing } = runConformance(paths.length > 0 ? paths : [publishedTranscripts(), OWN_TRANSCRIPTS]);
  for (const file of files) {
    print(`${file.failure === undefined ? "ok  " : "FAIL"} ${shortName(file.path)} ${file.passed}/${file.total}`);
    if (verbose && file.failure !== undefined) print(difference(file.path, file.failure));
  }
  for (const path of missing) print(`skipped ${path}: no transcripts (*.txt) there`);
  for (const kind of ["quorum", "confchange"] as const) {
    const own = files.filter((file) => file.kind === kind);
    if (own.length > 0) print(`${kind} ${sum(own, (file) => file.passed)}/${sum(own, (file) => file.total)}`);
  }
  const interactions = files.filter((file) => file.kind === "interaction");
  if (interactions.length > 0) {
    const passed = interactions.filter((file) => file.failure === undefined).length;
    print(`interaction ${passed}/${interactions.length} files`);
  }
  return files.some((file) => file.failure !== undefined) ? 1 : 0;
}

function difference(path: string, failure: NonNullable<FileReport["failure"]>): string {
  const expectedRows = failure.expected.split("\n");
  const actualRows = failure.actual.split("\n");
  const at = expectedRows.findIndex((row, i) => row !== actualRows[i]);
  const row = at < 0 ? expectedRows.length : at;
  const context = expectedRows.slice(Math.max(0, row - 3), row).map((text) => `       ${text}`);
  const shown = [`     - ${expectedRows[row] ?? "<end>"}`, `     + ${actualRows[row] ?? "<end>"}`];
  const head = `     ${path}:${failure.line} ${failure.command}, row ${row + 1} of the output`;
  return [head, ...context, ...shown].join("\n");
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
