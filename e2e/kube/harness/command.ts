/** Runs the programs of the cluster tool: kubectl, helm, and `cluster` itself. */
import { spawn } from "node:child_process";

/** How a program ended. */
export interface Ended {
  /** The exit code; a signal's name where there is none. */
  readonly code: number | string;
  readonly out: string;
  readonly err: string;
}

/** Options of {@link runProgram}. */
export interface RunOptions {
  readonly input?: string;
  /** Default 60,000 ms; then the program is killed. */
  readonly timeoutMs?: number;
}

/** Runs a program to its end. Rejects only where it cannot be started. */
export function runProgram(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 60_000);
    const [out, err]: [Buffer[], Buffer[]] = [[], []];
    child.stdin.on("error", () => undefined); // it has not waited for its input
    child.stdin.end(options.input);
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code: code ?? signal ?? "?", out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() });
    });
  });
}

/** A program that did not end with 0. */
export class CommandError extends Error {
  readonly ended: Ended;

  constructor(command: string, ended: Ended) {
    super(`${command} ended with ${ended.code}:\n${ended.err}${ended.out}`.trimEnd());
    this.name = "CommandError";
    this.ended = ended;
  }
}

/** Runs a program that must end with 0, and returns its standard output. Throws {@link CommandError}. */
export async function mustRun(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const ended = await runProgram(program, args, options);
  if (ended.code !== 0) throw new CommandError(`${program} ${args.join(" ")}`, ended);
  return ended.out;
}
