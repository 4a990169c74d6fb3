/** The frame of every process of Rhea: signals, exit codes, last words. */
import { createRequire } from "node:module";
import { errorToJson } from "../error-json.js";
import { ERROR_CODES, RheaError } from "../errors.js";

/** What a main gets. */
export interface MainContext {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Resolves with the reason at SIGTERM or SIGINT. A second signal ends the process at once. */
  readonly shutdown: Promise<string>;
  /** Ends the process with the error's exit code: at once, without waiting for anything (a failed disk must not be used again). */
  fail(error: RheaError): never;
}

function lastWords(name: string, error: RheaError): void {
  process.stderr.write(`${name}: ${error.code}: ${error.message}\n`);
  if (process.env["RHEA_DEBUG"] !== undefined) process.stderr.write(`${errorToJson(error)}\n${error.stack ?? ""}\n`);
  else if (error.code === "INTERNAL") process.stderr.write(`${error.stack ?? ""}\n`);
}

/**
 * Runs a process's main and exits with 0, or with the exit code of the error it throws (the error table). With the argument `--version` it
 * prints the version instead.
 */
export function runMain(name: string, main: (context: MainContext) => Promise<void>): void {
  if (process.argv.includes("--version")) {
    const { version } = createRequire(import.meta.url)("../../package.json") as { version: string }; // all packages have the same
    process.stdout.write(`${version}\n`);
    return;
  }
  const fail = (error: RheaError): never => {
    lastWords(name, error);
    process.exit(ERROR_CODES[error.code].exit);
  };
  const shutdown = new Promise<string>((resolve) => {
    let count = 0;
    const onSignal = (signal: string): void => {
      count++;
      if (count > 1) process.exit(130);
      resolve(signal);
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
  process.on("uncaughtException", (error) => fail(RheaError.from(error)));
  process.on("unhandledRejection", (error) => fail(RheaError.from(error)));
  main({ argv: process.argv.slice(2), env: process.env, shutdown, fail }).then(
    () => process.exit(0),
    (error: unknown) => fail(RheaError.from(error)),
  );
}
