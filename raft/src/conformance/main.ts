import { basename, dirname, join } from "node:path";
import { OWN_TRANSCRIPTS, publishedTranscripts, runConformance, type FileReport } from "./index.js";

const USAGE = `usage: npm run conformance -- [PATH...]
Runs datadriven raft transcripts: files, or all *.txt below directories. Without a path: etcd's published ones, where they are, and ours.
Exit code: 0 when all came out as written, 1 when one did not or is no transcript, 2 when a path is missing or holds none.`;

/** Is the two ends of what is printed: results, and complaints about the call. */
interface Output {
  readonly print: (line: string) => void;
  readonly complain: (line: string) => void;
}

/** Prints one line per transcript with the first difference of those that fail, then the totals; returns the exit code. */
function main(args: readonly string[], { print, complain }: Output): number {
  if (args.includes("--help") || args.includes("-h")) {
    print(USAGE);
    return 0;
  }
  const option = args.find((arg) => arg.startsWith("-"));
  if (option !== undefined) {
    complain(`conformance: unknown option ${option}\n${USAGE}`);
    return 2;
  }
  const { files, missing } = runConformance(args.length > 0 ? args : [publishedTranscripts(), OWN_TRANSCRIPTS]);
  for (const file of files) report(file, print);
  printTotals(files, print);
  if (args.length === 0) {
    for (const path of missing) print(`skipped ${path}: no transcripts (*.txt) there`);
  } else {
    for (const path of missing) complain(`conformance: ${path}: no such path, or no transcripts (*.txt) below it`);
    if (missing.length > 0) return 2;
  }
  return files.every((file) => "kind" in file && file.failure === undefined) ? 0 : 1;
}

function report(file: FileReport, print: Output["print"]): void {
  const name = join(basename(dirname(file.path)), basename(file.path));
  if ("refused" in file) {
    print(`FAIL ${name} is no transcript: ${file.refused}`);
    return;
  }
  const { failure } = file;
  print(`${failure === undefined ? "ok  " : "FAIL"} ${name} ${file.passed}/${file.total}`);
  if (failure === undefined) return;
  const expectedRows = failure.expected.split("\n");
  const actualRows = failure.actual.split("\n");
  const differs = expectedRows.findIndex((row, i) => row !== actualRows[i]);
  const row = differs < 0 ? expectedRows.length : differs;
  print(`     ${file.path}:${failure.line} ${failure.command}, row ${row + 1} of the output`);
  for (const text of expectedRows.slice(Math.max(0, row - 3), row)) print(`       ${text}`);
  print(`     - ${expectedRows[row] ?? "<end>"}`);
  print(`     + ${actualRows[row] ?? "<end>"}`);
}

function printTotals(files: readonly FileReport[], print: Output["print"]): void {
  const run = files.filter((file) => "kind" in file);
  for (const kind of ["quorum", "confchange"] as const) {
    const own = run.filter((file) => file.kind === kind);
    const [passed, total] = [sum(own.map((file) => file.passed)), sum(own.map((file) => file.total))];
    if (own.length > 0) print(`${kind} ${passed}/${total}`);
  }
  const stories = run.filter((file) => file.kind === "interaction");
  const passed = stories.filter((file) => file.failure === undefined).length;
  if (stories.length > 0) print(`interaction ${passed}/${stories.length} files`);
  const refused = files.length - run.length;
  if (refused > 0) print(`refused ${refused} ${refused === 1 ? "file" : "files"}`);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}

process.exitCode = main(process.argv.slice(2), {
  print: (line) => process.stdout.write(`${line}\n`),
  complain: (line) => process.stderr.write(`${line}\n`),
});
